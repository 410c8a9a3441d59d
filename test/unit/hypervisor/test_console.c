#include "hypervisor/console.h"

#include <criterion/criterion.h>
#include <ev.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"

static struct ev_loop *loop;
static struct console *console;
static int pipe_fd;

static void make_console(void)
{
	struct error err;

	loop = ev_loop_new(0);
	cr_assert_eq(console_create(loop, "console", &console, &pipe_fd, &err), 0);
}

static void destroy_console(void)
{
	close(pipe_fd);
	console_destroy(console);
	ev_loop_destroy(loop);
}

TestSuite(console, .init = make_console, .fini = destroy_console);

static void say(const char *text, size_t len)
{
	cr_assert_eq(write(pipe_fd, text, len), (ssize_t)len);
	ev_run(loop, EVRUN_NOWAIT);
}

static void expect(size_t size, const char *expected)
{
	char text[CONSOLE_KEPT];

	cr_assert_leq(size, sizeof(text));
	console_tail(console, text, size);
	cr_assert_str_eq(text, expected);
}

Test(console, is_empty_at_first)
{
	expect(100, "");
}

Test(console, gives_its_lines_as_one)
{
	say("first\r\nsecond\r\n", 15);
	expect(100, "first | second");
}

Test(console, shows_a_line_that_has_not_ended)
{
	say("first\nsec", 9);
	expect(100, "first | sec");
}

Test(console, gives_whole_lines_when_not_all_fit)
{
	say("0123456789\nabc\ndef\n", 19);
	expect(24, "abc | def");
}

Test(console, cuts_a_line_that_is_too_long_by_itself)
{
	say("0123456789\n", 11);
	expect(10, "56789");
}

Test(console, makes_foreign_bytes_harmless)
{
	say("\x1b[2J\x01\xff\n", 7);
	expect(100, "?[2J??");
	say("a\0b\n", 4);
	expect(100, "?[2J?? | a?b");
}

Test(console, keeps_the_last_bytes_of_a_flood)
{
	char block[1000];
	char text[CONSOLE_KEPT];

	memset(block, 'x', sizeof(block));
	for (int i = 0; i < 100; i++)
		say(block, sizeof(block));
	say("\nlast words\n", 12);
	expect(30, "last words");
	console_tail(console, text, sizeof(text));
	cr_assert_str_eq(text + strlen(text) - 10, "last words");
}

Test(console, never_passes_the_size_whatever_is_said)
{
	char text[64];

	for (int i = 0; i < 5000; i++)
		say("\n\na\n", 4);
	for (size_t size = 8; size <= sizeof(text); size++) {
		memset(text, 'X', sizeof(text));
		console_tail(console, text, size);
		cr_assert_lt(strlen(text), size);
	}
}

Test(console, drains_what_has_not_been_read_when_its_writer_ended)
{
	cr_assert_eq(write(pipe_fd, "unread\n", 7), 7);
	console_drain(console);
	expect(100, "unread");
}

Test(console, rests_when_its_writers_have_gone)
{
	say("bye\n", 4);
	close(pipe_fd);
	pipe_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	ev_run(loop, 0); /* returns: nothing is watched any more */
	expect(100, "bye");
}
