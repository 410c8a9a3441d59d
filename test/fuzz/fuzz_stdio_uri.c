/*
 * Where containerd wants a stream to go.
 */
#include <assert.h>
#include <string.h>

#include "common/error.h"
#include "common/mem.h"
#include "shim/stdio/stdio_uri.h"
#include "test/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree char *text = mem_alloc(size + 1);
	struct stdio_uri uri;
	struct error err = { 0 };
	size_t n = 0;

	if (size)
		memcpy(text, data, size);
	if (stdio_uri_parse(text, &uri, &err) == 0) {
		while (uri.args[n])
			assert(strlen(uri.args[n++]) <= size);
		assert(n == 0 || uri.kind == STDIO_LOGGER);
		assert(!uri.path == (uri.kind == STDIO_NONE));
		assert(!uri.path || *uri.path == '/');
	} else {
		assert(err.code == ERROR_INVALID_ARGUMENT);
	}
	stdio_uri_fini(&uri);
	return 0;
}
