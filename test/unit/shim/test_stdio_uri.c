#include "shim/stdio/stdio_uri.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "common/error.h"

static struct stdio_uri parsed(const char *text)
{
	struct stdio_uri uri;
	struct error err;

	cr_assert_eq(stdio_uri_parse(text, &uri, &err), 0, "%s", err.text);
	return uri;
}

static void expect_path(const char *text, enum stdio_kind kind, const char *path)
{
	struct stdio_uri uri = parsed(text);

	cr_expect_eq(uri.kind, kind);
	cr_expect_str_eq(uri.path, path);
	cr_expect_null(uri.args[0]);
	stdio_uri_fini(&uri);
}

static void expect_refused(const char *text)
{
	struct stdio_uri uri;
	struct error err;

	cr_expect_lt(stdio_uri_parse(text, &uri, &err), 0, "%s", text);
	cr_expect_eq(err.code, ERROR_INVALID_ARGUMENT);
	stdio_uri_fini(&uri);
}

Test(stdio_uri, nothing_is_nowhere)
{
	cr_expect_eq(parsed("").kind, STDIO_NONE);
}

Test(stdio_uri, a_path_is_a_fifo_and_taken_as_it_is)
{
	expect_path("/run/a%20b?c", STDIO_FIFO, "/run/a%20b?c");
}

Test(stdio_uri, a_scheme_says_what_it_is)
{
	expect_path("fifo:///run/x", STDIO_FIFO, "/run/x");
	expect_path("file:///var/log/x", STDIO_FILE, "/var/log/x");
	expect_path("binary:///bin/logger", STDIO_LOGGER, "/bin/logger");
}

Test(stdio_uri, a_path_with_a_scheme_is_decoded)
{
	expect_path("file:///a%20b%2fc%zz%4", STDIO_FILE, "/a b/c%zz%4");
	expect_path("file:///a?b=c", STDIO_FILE, "/a");
}

static void expect_args(const char *text, const char *const expected[])
{
	struct stdio_uri uri = parsed(text);
	size_t i = 0;

	for (; expected[i] && uri.args[i]; i++)
		cr_expect_str_eq(uri.args[i], expected[i], "%s: %zu is \"%s\"", text, i,
		                 uri.args[i]);
	cr_expect_null(expected[i], "%s: no \"%s\"", text, expected[i]);
	cr_expect_null(uri.args[i], "%s: \"%s\" is too much", text, uri.args[i]);
	stdio_uri_fini(&uri);
}

Test(stdio_uri, a_loggers_query_is_its_arguments)
{
	expect_path("binary:///bin/l?", STDIO_LOGGER, "/bin/l");
	expect_args("binary:///bin/l?id=a%3Db&_NERDCTL=x+y",
	            (const char *const[]){ "id", "a=b", "_NERDCTL", "x y", NULL });
}

/* What follows would become its value if there were none. */
Test(stdio_uri, a_key_without_a_value_has_an_empty_one)
{
	expect_args("binary:///p?c&a=1&&empty=",
	            (const char *const[]){ "c", "", "a", "1", "empty", "", NULL });
}

Test(stdio_uri, of_a_key_that_comes_twice_the_first_counts)
{
	expect_args("binary:///p?a=1&b=2&a=3&%61=4",
	            (const char *const[]){ "a", "1", "b", "2", NULL });
}

Test(stdio_uri, what_is_not_understood_is_refused)
{
	expect_refused("tcp://host/x");
	expect_refused("relative");
	expect_refused("file://relative");
	expect_refused("binary://");
}

Test(stdio_uri, more_arguments_than_a_logger_may_have_are_refused)
{
	char text[2000] = "binary:///l?";
	size_t len = strlen(text);

	for (size_t i = 0; i < STDIO_ARGS_MAX / 2 + 1; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "k%zu=v&", i);
	expect_refused(text);
}
