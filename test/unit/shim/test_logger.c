#include "shim/stdio/logger.h"

#include <criterion/criterion.h>
#include <ev.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "shim/config/config.h"
#include "shim/stdio/copy.h"
#include "shim/stdio/stdio_uri.h"

static struct config config = {
	.logger_ready_timeout_ms = 60000,
	.logger_grace_timeout_ms = 60000,
	.logger_term_timeout_ms = 60000,
};
static struct ev_loop *loop;
static char dir[] = "/tmp/kata-logger-XXXXXX";
static struct logger *logger;
static bool ready, ended;
static struct error failure;

static void setup(void)
{
	loop = ev_loop_new(0); /* the default one would reap the children itself */
	cr_assert(mkdtemp(dir));
	log_open(open("/dev/null", O_WRONLY | O_CLOEXEC));
}

static void teardown(void)
{
	logger_destroy(logger);
	ev_loop_destroy(loop);
	cr_expect_eq(file_remove_tree(AT_FDCWD, dir, NULL), 0);
	log_open(-1);
}

TestSuite(logger, .init = setup, .fini = teardown, .timeout = 120);

static void on_ready(void *ctx, const struct error *err)
{
	ready = true;
	error_copy(&failure, err);
}

static void on_ended(void *ctx)
{
	ended = true;
}

static void wait_until(const bool *flag)
{
	while (!*flag)
		ev_run(loop, EVRUN_ONCE);
}

/* A logging program: the script, with its directory as the first argument. */
static int start(const char *script, struct error *err)
{
	static const struct logger_of of = { .id = "c", .ns = "n", .config = &config };
	autofree char *path = mem_printf("%s/program", dir);
	autofree char *text = mem_printf("binary://%s?%s=a+b", path, dir);
	struct stdio_uri uri;
	int r;

	cr_assert_eq(file_write(AT_FDCWD, path, 0700, script, strlen(script), NULL), 0);
	cr_assert_eq(stdio_uri_parse(text, &uri, NULL), 0);
	r = logger_start(loop, &uri, &of, on_ready, NULL, &logger, err);
	stdio_uri_fini(&uri);
	return r;
}

static void expect_file(const char *name, const char *expected)
{
	autofree char *path = mem_printf("%s/%s", dir, name);
	autofree char *text = NULL;

	cr_assert_geq(file_read(AT_FDCWD, path, 1000, &text, NULL), 0);
	cr_expect_str_eq(text, expected);
}

Test(logger, takes_both_streams_and_ends_at_their_end)
{
	int out, err_fd;

	cr_assert_eq(start("#!/bin/sh\nexec 5>&-\ncat <&3 >$1/out\ncat <&4 >$1/err\n", &failure),
	             0);
	wait_until(&ready);
	cr_expect_eq(failure.code, ERROR_NONE, "%s", failure.text);
	out = logger_take_out(logger);
	err_fd = logger_take_err(logger);
	cr_assert_eq(write(out, "o", 1), 1);
	cr_assert_eq(write(err_fd, "e", 1), 1);
	close(out);
	close(err_fd);
	logger_end(logger, on_ended, NULL);
	wait_until(&ended);
	expect_file("out", "o");
	expect_file("err", "e");
}

Test(logger, is_told_of_whom_by_its_environment_and_how_by_its_arguments)
{
	cr_assert_eq(start("#!/bin/sh\necho $CONTAINER_ID $CONTAINER_NAMESPACE $2 $# >$1/told\n"
	                   "exec 5>&-\ncat <&3\n",
	                   &failure),
	             0);
	wait_until(&ready);
	expect_file("told", "c n a b 2\n");
}

Test(logger, is_waited_for_until_it_is_ready)
{
	cr_assert_eq(start("#!/bin/sh\nsleep 0.2\ntouch $1/slept\nexec 5>&-\ncat <&3\n", &failure),
	             0);
	wait_until(&ready);
	expect_file("slept", "");
}

Test(logger, that_is_not_there_is_named)
{
	static const struct logger_of of = { .id = "c", .ns = "n", .config = &config };
	struct stdio_uri uri;
	struct error err;

	cr_assert_eq(stdio_uri_parse("binary:///nosuch/program", &uri, NULL), 0);
	cr_expect_lt(logger_start(loop, &uri, &of, on_ready, NULL, &logger, &err), 0);
	cr_expect_str_eq(err.text,
	                 "logger: cannot execute \"/nosuch/program\": No such file or directory");
	stdio_uri_fini(&uri);
}

Test(logger, that_does_not_end_is_helped)
{
	config.logger_grace_timeout_ms = 500;
	config.logger_term_timeout_ms = 200;
	cr_assert_eq(start("#!/bin/sh\nexec 5>&-\ntrap '' TERM\nwhile :; do sleep 0.1; done\n",
	                   &failure),
	             0);
	wait_until(&ready);
	close(logger_take_out(logger));
	close(logger_take_err(logger));
	logger_end(logger, on_ended, NULL);
	wait_until(&ended);
}

static bool has_child(void)
{
	siginfo_t info;

	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

Test(logger, outlives_its_owner_to_the_end_of_its_input)
{
	int out;

	cr_assert_eq(start("#!/bin/sh\nexec 5>&-\ncat <&3 >$1/out\n", &failure), 0);
	wait_until(&ready);
	out = logger_take_out(logger);
	logger_destroy(take_ptr(&logger));
	cr_assert_eq(write(out, "late", 4), 4);
	cr_expect(has_child());
	close(out);
	for (int i = 0; i < 6000 && has_child(); i++) {
		ev_run(loop, EVRUN_NOWAIT);
		usleep(10000);
	}
	expect_file("out", "late");
	cr_expect_not(has_child(), "a zombie is left");
}

/* The copier is this executable, as it is the shim in earnest. */
static void __attribute__((constructor)) be_the_copier(int argc, char **argv)
{
	struct error err;

	if (argc == 3 && strcmp(argv[1], COPY_COMMAND) == 0)
		_exit(copy_output(NULL, argv, &err) < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

static void start_file(const char *path)
{
	static const struct logger_of of = { .id = "c", .ns = "n", .config = &config };
	autofree char *text = mem_printf("file://%s", path);
	struct stdio_uri uri;

	cr_assert_eq(stdio_uri_parse(text, &uri, NULL), 0);
	cr_assert_eq(logger_start(loop, &uri, &of, on_ready, NULL, &logger, &failure), 0, "%s",
	             failure.text);
	stdio_uri_fini(&uri);
	wait_until(&ready);
}

static void write_both(const char *text)
{
	int out = logger_take_out(logger);
	int err_fd = logger_take_err(logger);

	cr_assert_eq(write(out, text, strlen(text)), (ssize_t)strlen(text));
	cr_assert_eq(write(err_fd, text, strlen(text)), (ssize_t)strlen(text));
	close(out);
	close(err_fd);
}

Test(logger, a_file_is_made_with_its_directories_and_appended_to)
{
	autofree char *path = mem_printf("%s/some/where", dir);

	for (int i = 0; i < 2; i++) {
		ready = ended = false;
		start_file(path);
		cr_assert_eq(failure.code, ERROR_NONE, "%s", failure.text);
		write_both("x");
		logger_end(logger, on_ended, NULL);
		wait_until(&ended);
		logger_destroy(take_ptr(&logger));
	}
	expect_file("some/where", "xxxx");
}

Test(logger, a_device_takes_output_too)
{
	start_file("/dev/null");
	cr_expect_eq(failure.code, ERROR_NONE, "%s", failure.text);
	write_both("x");
	logger_end(logger, on_ended, NULL);
	wait_until(&ended);
}

Test(logger, a_fifo_that_nobody_reads_yet_takes_output_too)
{
	autofree char *path = mem_printf("%s/fifo", dir);
	char text[8] = "";
	int reader;

	cr_assert_eq(mkfifo(path, 0600), 0);
	start_file(path);
	cr_assert_eq(failure.code, ERROR_NONE, "%s", failure.text);
	reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	write_both("x");
	logger_end(logger, on_ended, NULL);
	wait_until(&ended);
	cr_expect_eq(read(reader, text, sizeof(text)), 2);
	cr_expect_str_eq(text, "xx");
	close(reader);
}

Test(logger, what_cannot_be_opened_is_named)
{
	start_file(dir);
	cr_expect(strstr(failure.text, dir) && strstr(failure.text, "Is a directory"), "%s",
	          failure.text);
}
