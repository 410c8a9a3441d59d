#include "common/error.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

Test(error, with_a_hint_ends_with_it)
{
	struct error err;

	error_set(&err, ERROR_NOT_FOUND, "open 'x'");
	cr_expect_eq(error_hint(&err, "make it"), -ENOENT);
	cr_expect_str_eq(err.text, "open 'x'; hint: make it");
	cr_expect_eq(err.code, ERROR_NOT_FOUND);
}

Test(error, keeps_its_hint_when_it_is_wrapped)
{
	struct error err;

	error_set(&err, ERROR_UNKNOWN, "open 'x'");
	error_hint(&err, "make it");
	error_wrap(&err, "start");
	cr_expect_str_eq(err.text, "start: open 'x'; hint: make it");
}

Test(error, too_long_for_its_hint_is_cut)
{
	char longest[2 * ERROR_TEXT_MAX];
	struct error err;

	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	error_set(&err, ERROR_UNKNOWN, "open '%s'", longest);
	error_hint(&err, "make it");
	cr_expect_eq(strlen(err.text), ERROR_TEXT_MAX - 1);
	cr_expect(strstr(err.text, "xxx...; hint: make it"));
}

Test(error, that_nobody_wants_takes_no_hint)
{
	cr_expect_eq(error_hint(NULL, "make it"), -EIO);
}
