#include "shim/host/pid_file.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>

#include "common/error.h"
#include "common/file.h"
#include "common/mem.h"

static char bundle[] = "/tmp/pid-file-XXXXXX";

static void set_up(void)
{
	cr_assert_not_null(mkdtemp(bundle));
}

static void tear_down(void)
{
	cr_assert_eq(file_remove_tree(AT_FDCWD, bundle, NULL), 0);
}

TestSuite(pid_file, .init = set_up, .fini = tear_down);

Test(pid_file, is_read_as_it_was_written)
{
	struct error err;

	cr_expect_eq(pid_file_read(bundle), 0);
	cr_expect_eq(pid_file_write(bundle, 4711, &err), 0, "%s", err.text);
	cr_expect_eq(pid_file_read(bundle), 4711);
	cr_expect_eq(pid_file_write(bundle, 12, &err), 0, "%s", err.text);
	cr_expect_eq(pid_file_read(bundle), 12);
}

Test(pid_file, names_the_bundle_that_is_not_there)
{
	struct error err;

	cr_expect_eq(pid_file_read("/no/such"), 0);
	cr_expect_lt(pid_file_write("/no/such", 4711, &err), 0);
	cr_expect(strstr(err.text, "/no/such"), "%s", err.text);
}

Test(pid_file, with_nonsense_has_no_pid)
{
	static const char *const texts[] = { "",   "x",
		                             "-3", "99999999999",
		                             "0",  "123456789012345678901234567890" };
	autofree char *path = mem_printf("%s/init.pid", bundle);

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		cr_assert_eq(file_write(AT_FDCWD, path, 0600, texts[i], strlen(texts[i]), NULL), 0);
		cr_expect_eq(pid_file_read(bundle), 0, "%s", texts[i]);
	}
}
