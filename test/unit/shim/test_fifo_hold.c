#include "shim/stdio/fifo_hold.h"

#include <criterion/criterion.h>
#include <ev.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"

static struct ev_loop *loop;
static char dir[] = "/tmp/kata-fifo-hold-XXXXXX";
static char path[64];
static struct fifo_hold *hold;
static bool done;

static void setup(void)
{
	loop = ev_default_loop(0);
	cr_assert(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/fifo", dir);
	cr_assert_eq(mkfifo(path, 0600), 0);
	hold = fifo_hold_create(loop, open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC));
}

static void teardown(void)
{
	fifo_hold_destroy(hold);
	cr_expect_eq(file_remove_tree(AT_FDCWD, dir, NULL), 0);
}

TestSuite(fifo_hold, .init = setup, .fini = teardown, .timeout = 60);

static void on_done(void *ctx)
{
	done = true;
}

/* Whoever writes comes and goes, as the vsock device does. */
static void write_text(const char *text, size_t len)
{
	int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);

	cr_assert_eq(write(fd, text, len), (ssize_t)len);
	close(fd);
}

static void wait_done(void)
{
	while (!done)
		ev_run(loop, EVRUN_ONCE);
}

Test(fifo_hold, an_empty_one_is_closed_at_once)
{
	int reader = open(path, O_RDONLY | O_NONBLOCK);
	char byte;

	cr_assert_eq(read(reader, &byte, 1), -1);
	fifo_hold_end(hold, on_done, NULL);
	cr_assert(done);
	cr_assert_eq(read(reader, &byte, 1), 0);
	close(reader);
}

Test(fifo_hold, a_reader_that_comes_after_the_end_gets_all_and_then_the_end)
{
	char text[16];
	int reader;

	write_text("hello", 5);
	fifo_hold_end(hold, on_done, NULL);
	cr_assert_not(done);
	reader = open(path, O_RDONLY); /* returns, as there is a writer */
	ev_run(loop, EVRUN_ONCE);
	cr_assert_not(done);
	cr_assert_eq(read(reader, text, sizeof(text)), 5);
	wait_done();
	cr_assert_eq(read(reader, text, sizeof(text)), 0);
	close(reader);
}

Test(fifo_hold, without_a_reader_it_is_given_up)
{
	write_text("hello", 5);
	fifo_hold_end(hold, on_done, NULL);
	wait_done();
	cr_assert_eq(open(path, O_WRONLY | O_NONBLOCK), -1, "somebody has it open still");
}

Test(fifo_hold, destroying_it_calls_nobody)
{
	write_text("hello", 5);
	fifo_hold_end(hold, on_done, NULL);
	fifo_hold_destroy(hold);
	hold = NULL;
	ev_run(loop, EVRUN_NOWAIT);
	cr_assert_not(done);
}
