#include "common/log.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What comes after msg= of the line for @text. */
static void logged(const char *text, char *line, size_t size)
{
	int ends[2];
	ssize_t n;
	char *msg;

	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	log_open(ends[1]);
	log_info("%s", text);
	log_open(-1);
	n = read(ends[0], line, size - 1);
	close(ends[0]);
	cr_assert_gt(n, 0);
	line[n] = '\0';
	msg = strstr(line, "msg=");
	cr_assert_not_null(msg);
	memmove(line, msg + 4, strlen(msg + 4) + 1);
}

Test(log, escapes_what_a_terminal_obeys)
{
	char line[5000];

	logged("\033[31m \xc2\x9b"
	       "31m \x7f \r\n",
	       line, sizeof(line));
	cr_expect_str_eq(line, "\"\\x1b[31m \\xc2\\x9b31m \\x7f \\x0d\\n\"\n");
}

Test(log, is_valid_utf8_whatever_it_is_given)
{
	char line[5000];

	logged("\xc3\xa4 \x9b \xc3 \xff", line, sizeof(line));
	cr_expect_str_eq(line, "\"\xc3\xa4 \\x9b \\xc3 \\xff\"\n");
}

Test(log, keeps_a_line_whole_however_much_is_escaped)
{
	char text[3000], line[5000];

	memset(text, '\x9b', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	logged(text, line, sizeof(line));
	cr_expect_leq(strlen(line), 4096);
	cr_expect_str_eq(line + strlen(line) - 6, "\\x9b\"\n");
}
