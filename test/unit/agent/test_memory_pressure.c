#include "agent/guest/memory_pressure.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <ev.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test/unit/agent/host.h"

#define TRIGGER "some 500000 1000000"

/* A FIFO takes the trigger as the kernel's file does, and is readable by who wants to see it. */
static char fifo[64];
static int reader;

static void setup(void)
{
	snprintf(fifo, sizeof(fifo), "/tmp/kata-pressure-%d", (int)getpid());
	cr_assert_eq(mkfifo(fifo, 0600), 0);
	reader = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	cr_assert_geq(reader, 0);
}

static void teardown(void)
{
	close(reader);
	unlink(fifo);
}

TestSuite(memory_pressure, .init = setup, .fini = teardown);

static int descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	cr_assert_not_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* The triggers that came since the last time. */
static int triggers(void)
{
	char text[256];
	ssize_t n = read(reader, text, sizeof(text));

	n = n < 0 ? 0 : n;
	cr_assert_eq(n % sizeof(TRIGGER), 0);
	for (ssize_t i = 0; i < n; i += sizeof(TRIGGER))
		cr_assert_str_eq(text + i, TRIGGER);
	return (int)(n / sizeof(TRIGGER));
}

Test(memory_pressure, is_watched_once_and_until_its_end)
{
	struct ev_loop *loop = ev_default_loop(0);
	struct memory_pressure *pressure = memory_pressure_create(loop, fifo);
	int before = descriptors();

	cr_expect_eq(triggers(), 0, "nothing is watched yet");
	memory_pressure_watch(pressure);
	memory_pressure_watch(pressure);
	cr_expect_eq(triggers(), 1);
	cr_expect_eq(descriptors(), before + 2);
	memory_pressure_destroy(pressure);
	cr_expect_eq(descriptors(), before);
	memory_pressure_destroy(NULL);
}

static void expect_nothing_kept(const char *file)
{
	struct ev_loop *loop = ev_default_loop(0);
	struct memory_pressure *pressure = memory_pressure_create(loop, file);
	int before = descriptors();

	memory_pressure_watch(pressure);
	cr_expect_eq(descriptors(), before, "%s", file);
	memory_pressure_watch(pressure);
	cr_expect_eq(descriptors(), before, "%s", file);
	memory_pressure_destroy(pressure);
}

Test(memory_pressure, that_cannot_be_watched_keeps_nothing_open)
{
	expect_nothing_kept("/nosuch");
	expect_nothing_kept("/dev/full"); /* refuses the trigger */
	unlink(fifo);
	close(open(fifo, O_WRONLY | O_CREAT, 0600));
	expect_nothing_kept(fifo); /* an ordinary file cannot be polled */
	expect_nothing_kept(NULL);
}

/* It is on no path to the first container's start. */
Test(memory_pressure, is_watched_from_the_first_container_on)
{
	Grpc__CreateSandboxRequest request = GRPC__CREATE_SANDBOX_REQUEST__INIT;
	struct host host;

	host_init_pressure(&host, fifo);
	cr_assert_eq(host_call(&host, "CreateSandbox", &request.base, NULL), ERROR_NONE);
	cr_expect_eq(triggers(), 0);
	cr_assert_eq(host_create(&host, "c1", "exit 1", 0), ERROR_NONE);
	cr_expect_eq(triggers(), 1);
	cr_assert_eq(host_create(&host, "c2", "exit 1", 0), ERROR_NONE);
	cr_expect_eq(triggers(), 0);
	host_fini(&host);
}
