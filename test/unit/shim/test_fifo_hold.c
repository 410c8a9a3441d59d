#include "shim/stdio/fifo_hold.h"

#include <criterion/criterion.h>
#include <ev.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"

static struct ev_loop *loop;
static char dir[] = "/tmp/kata-fifo-hold-XXXXXX";
static char path[64];
static struct fifo_hold *hold;

static void setup(void)
{
	int read_fd;

	loop = ev_default_loop(0);
	cr_assert(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/fifo", dir);
	cr_assert_eq(mkfifo(path, 0600), 0);
	read_fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	hold = fifo_hold_create(loop, open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC), read_fd);
}

static void teardown(void)
{
	fifo_hold_destroy(hold);
	cr_expect_eq(file_remove_tree(AT_FDCWD, dir, NULL), 0);
}

TestSuite(fifo_hold, .init = setup, .fini = teardown, .timeout = 120);

/* Whoever writes comes and goes, as the vsock device does. */
static void write_text(const char *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);

	cr_assert_eq(write(fd, text, len), (ssize_t)len);
	close(fd);
}

Test(fifo_hold, an_empty_one_is_closed_at_once)
{
	int reader = open(path, O_RDONLY | O_NONBLOCK);
	char byte;

	cr_assert_eq(read(reader, &byte, 1), -1);
	fifo_hold_end(hold);
	cr_assert_eq(read(reader, &byte, 1), 0);
	close(reader);
}

/* A client opens it for reading in the background, perhaps after a short process has ended: open(2)
 * would wait for ever for who writes. */
Test(fifo_hold, a_reader_that_comes_after_the_end_of_an_empty_one_sees_the_end)
{
	char byte;
	pid_t pid;
	int status;

	fifo_hold_end(hold);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		fifo_hold_destroy(hold); /* this process's copy of the ends */
		alarm(30);
		_exit((int)read(open(path, O_RDONLY), &byte, 1));
	}
	do {
		ev_run(loop, EVRUN_ONCE);
	} while (waitpid(pid, &status, WNOHANG) == 0);
	cr_assert_eq(status, 0, "exit code 0: read(2) has said the end");
}

Test(fifo_hold, a_reader_that_is_there_sees_the_end_behind_the_last_byte)
{
	int reader = open(path, O_RDONLY | O_NONBLOCK);
	char text[16];

	write_text("hello", 5);
	fifo_hold_end(hold);
	cr_assert_eq(fifo_hold_unread(hold), 5);
	cr_assert_eq(read(reader, text, sizeof(text)), 5);
	cr_assert_eq(read(reader, text, sizeof(text)), 0, "the write end is open still");
	cr_assert_eq(fifo_hold_unread(hold), 0);
	close(reader);
}

Test(fifo_hold, a_reader_that_comes_after_the_end_gets_all_and_then_the_end)
{
	char text[16];
	int reader;

	write_text("hello", 5);
	fifo_hold_end(hold);
	for (int i = 0; i < 5; i++)
		ev_run(loop, EVRUN_ONCE);
	reader = open(path, O_RDONLY); /* returns, as there is a writer */
	ev_run(loop, EVRUN_ONCE);
	cr_assert_eq(read(reader, text, sizeof(text)), 5);
	cr_assert_eq(read(reader, text, sizeof(text)), 0);
	close(reader);
}

Test(fifo_hold, tells_whether_somebody_reads)
{
	int reader = open(path, O_RDONLY | O_NONBLOCK);

	cr_assert_not(fifo_hold_has_no_reader(hold));
	close(reader);
	cr_assert(fifo_hold_has_no_reader(hold));
	write_text("hello", 5);
	reader = open(path, O_RDONLY | O_NONBLOCK);
	fifo_hold_end(hold);
	cr_assert_not(fifo_hold_has_no_reader(hold));
	close(reader);
	cr_assert(fifo_hold_has_no_reader(hold));
	cr_assert_eq(fifo_hold_unread(hold), 5, "it keeps what it asks about");
}

Test(fifo_hold, the_writer_to_a_pipe_sees_that_its_reader_has_gone)
{
	struct fifo_hold *of_pipe;
	char byte;
	int ends[2];

	signal(SIGPIPE, SIG_IGN);
	cr_assert_eq(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
	of_pipe = fifo_hold_create(loop, dup(ends[1]), -1);
	cr_assert_eq(write(ends[1], "x", 1), 1);
	cr_assert_eq(fifo_hold_unread(of_pipe), 1);
	close(ends[1]);
	fifo_hold_end(of_pipe);
	cr_assert_eq(read(ends[0], &byte, 1), 1);
	cr_assert_eq(read(ends[0], &byte, 1), 0);
	fifo_hold_destroy(of_pipe);
	close(ends[0]);
	cr_assert_eq(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
	of_pipe = fifo_hold_create(loop, dup(ends[1]), -1);
	close(ends[0]);
	cr_assert_eq(write(ends[1], "x", 1), -1);
	fifo_hold_destroy(of_pipe);
	close(ends[1]);
}

Test(fifo_hold, of_two_outputs_ends_with_the_second)
{
	char text[16];
	int reader;

	fifo_hold_share(hold);
	write_text("hello", 5);
	fifo_hold_end(hold);
	fifo_hold_end(hold);
	fifo_hold_destroy(hold);
	reader = open(path, O_RDONLY); /* waits for ever if nobody is left to write */
	ev_run(loop, EVRUN_ONCE);
	cr_assert_eq(read(reader, text, sizeof(text)), 5);
	cr_assert_eq(read(reader, text, sizeof(text)), 0);
	close(reader);
}

Test(fifo_hold, is_closed_when_it_is_destroyed)
{
	write_text("hello", 5);
	fifo_hold_end(hold);
	fifo_hold_destroy(hold);
	hold = NULL;
	cr_assert_eq(open(path, O_WRONLY | O_NONBLOCK), -1, "somebody has it open still");
}
