#include "shim/cli/standard_output.h"

#include <unistd.h>

#include "common/error.h"
#include "common/file.h"

int standard_output_write(const void *data, size_t len, struct error *err)
{
	if (file_write_all(STDOUT_FILENO, data, len) < 0)
		return error_errno(err, "cannot write the answer to standard output");
	return 0;
}
