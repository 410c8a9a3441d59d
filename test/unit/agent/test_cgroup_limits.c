/*
 * Limits written to a directory of ordinary files with the names of the knobs.
 */
#include "agent/cgroup/cgroup_limits.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"

static char dir[] = "/tmp/test-cgroup-limits.XXXXXX";
static int dir_fd;
static Grpc__LinuxResources resources = GRPC__LINUX_RESOURCES__INIT;
static Grpc__LinuxMemory memory = GRPC__LINUX_MEMORY__INIT;
static Grpc__LinuxCPU cpu = GRPC__LINUX_CPU__INIT;
static Grpc__LinuxPids pids = GRPC__LINUX_PIDS__INIT;
static Grpc__LinuxBlockIO io = GRPC__LINUX_BLOCK_IO__INIT;

static const char *const knobs[] = {
	"memory.max",  "memory.low",  "memory.swap.max", "cpu.weight", "cpu.max",
	"cpuset.cpus", "cpuset.mems", "pids.max",        "io.weight",  "io.max",
};
#define KNOBS (sizeof(knobs) / sizeof(knobs[0]))

static void make_knobs(void)
{
	cr_assert_not_null(mkdtemp(dir));
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY);
	for (size_t i = 0; i < KNOBS; i++)
		close(openat(dir_fd, knobs[i], O_CREAT | O_WRONLY, 0600));
}

static void remove_knobs(void)
{
	for (size_t i = 0; i < KNOBS; i++)
		unlinkat(dir_fd, knobs[i], 0);
	close(dir_fd);
	rmdir(dir);
}

TestSuite(cgroup_limits, .init = make_knobs, .fini = remove_knobs);

static void assert_knob(const char *name, const char *expected)
{
	char text[128] = "";
	int fd = openat(dir_fd, name, O_RDONLY);

	cr_assert_geq(read(fd, text, sizeof(text) - 1), 0);
	close(fd);
	cr_assert_str_eq(text, expected, "%s is '%s', not '%s'", name, text, expected);
}

Test(cgroup_limits, memory_and_swap_are_a_sum_in_v1_and_apart_in_v2)
{
	resources.memory = &memory;
	memory.limit = 64 << 20;
	memory.swap = 96 << 20;
	memory.reservation = 32 << 20;
	cr_assert_eq(cgroup_limits_write(dir_fd, &resources, NULL), 0);
	assert_knob("memory.max", "67108864");
	assert_knob("memory.swap.max", "33554432");
	assert_knob("memory.low", "33554432");
}

Test(cgroup_limits, unlimited_is_max)
{
	resources.memory = &memory;
	resources.pids = &pids;
	memory.limit = -1;
	pids.limit = -1;
	cr_assert_eq(cgroup_limits_write(dir_fd, &resources, NULL), 0);
	assert_knob("memory.max", "max");
	assert_knob("memory.swap.max", "max");
	assert_knob("pids.max", "max");
}

Test(cgroup_limits, what_is_unset_is_left_alone)
{
	resources.memory = &memory;
	resources.cpu = &cpu;
	resources.pids = &pids;
	resources.blockio = &io;
	cr_assert_eq(cgroup_limits_write(dir_fd, &resources, NULL), 0);
	for (size_t i = 0; i < KNOBS; i++)
		assert_knob(knobs[i], "");
}

Test(cgroup_limits, cpu_quota_and_period_are_one_knob)
{
	resources.cpu = &cpu;
	cpu.quota = 50000;
	cpu.shares = 1024;
	cpu.cpus = "0";
	cr_assert_eq(cgroup_limits_write(dir_fd, &resources, NULL), 0);
	assert_knob("cpu.max", "50000 100000");
	assert_knob("cpu.weight", "39");
	assert_knob("cpuset.cpus", "0");
}

/* Writes to an ordinary file do not cut it off; the kernel's knob has one line at all times. */
static void put_knob(const char *name, const char *text)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_TRUNC);

	cr_assert_eq(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

Test(cgroup_limits, a_quota_alone_keeps_the_period)
{
	resources.cpu = &cpu;
	cpu.quota = 25000;
	put_knob("cpu.max", "max 50000");
	cr_assert_eq(cgroup_limits_write(dir_fd, &resources, NULL), 0);
	assert_knob("cpu.max", "25000 50000");
	cpu.quota = -1;
	put_knob("cpu.max", "30000 50000");
	cr_assert_eq(cgroup_limits_write(dir_fd, &resources, NULL), 0);
	assert_knob("cpu.max", "max 5000000"); /* "max 50000" over the longer text */
}

Test(cgroup_limits, a_period_alone_keeps_the_quota)
{
	resources.cpu = &cpu;
	cpu.period = 40000;
	put_knob("cpu.max", "20000 100000");
	cr_assert_eq(cgroup_limits_write(dir_fd, &resources, NULL), 0);
	assert_knob("cpu.max", "20000 400000"); /* "20000 40000" over the longer text */
	cpu.period = 100000;
	put_knob("cpu.max", "max 10000");
	cr_assert_eq(cgroup_limits_write(dir_fd, &resources, NULL), 0);
	assert_knob("cpu.max", "max 100000");
}

Test(cgroup_limits, weights_keep_the_ends_of_their_ranges)
{
	cr_assert_eq(cgroup_cpu_weight(2), 1);
	cr_assert_eq(cgroup_cpu_weight(262144), 10000);
	cr_assert_eq(cgroup_cpu_weight(0), 1);
	cr_assert_eq(cgroup_io_weight(10), 1);
	cr_assert_eq(cgroup_io_weight(1000), 10000);
}

Test(cgroup_limits, throttles_name_their_device)
{
	Grpc__LinuxThrottleDevice device = GRPC__LINUX_THROTTLE_DEVICE__INIT;
	Grpc__LinuxThrottleDevice *devices[] = { &device };

	device.major = 8;
	device.minor = 16;
	device.rate = 1048576;
	io.n_throttlewritebpsdevice = 1;
	io.throttlewritebpsdevice = devices;
	resources.blockio = &io;
	cr_assert_eq(cgroup_limits_write(dir_fd, &resources, NULL), 0);
	assert_knob("io.max", "8:16 wbps=1048576");
}

Test(cgroup_limits, a_limit_without_controller_is_an_error_that_names_it)
{
	struct error err;

	resources.pids = &pids;
	pids.limit = 10;
	unlinkat(dir_fd, "pids.max", 0);
	cr_assert_lt(cgroup_limits_write(dir_fd, &resources, &err), 0);
	cr_assert_eq(err.code, ERROR_FAILED_PRECONDITION);
	cr_assert_not_null(strstr(err.text, "pids.max"));
}

Test(cgroup_limits, what_v2_has_no_knob_for_is_refused_by_name)
{
	struct error err;

	resources.memory = &memory;
	memory.disableoomkiller = 1;
	cr_assert_lt(cgroup_limits_check(&resources, &err), 0);
	cr_assert_eq(err.code, ERROR_UNIMPLEMENTED);
	cr_assert_not_null(strstr(err.text, "memory.disableOOMKiller"));
}

Test(cgroup_limits, swap_below_memory_is_refused)
{
	struct error err;

	resources.memory = &memory;
	memory.limit = 100 << 20;
	memory.swap = 50 << 20;
	cr_assert_lt(cgroup_limits_check(&resources, &err), 0);
	cr_assert_eq(err.code, ERROR_INVALID_ARGUMENT);
}

Test(cgroup_limits, what_is_no_page_size_is_refused)
{
	Grpc__LinuxHugepageLimit limit = GRPC__LINUX_HUGEPAGE_LIMIT__INIT;
	Grpc__LinuxHugepageLimit *limits[] = { &limit };
	static const char *const wrong[] = { "", "MB", "2", "2MB/../x", "../2MB" };
	struct error err;

	resources.hugepagelimits = limits;
	resources.n_hugepagelimits = 1;
	limit.pagesize = (char *)"2MB";
	cr_expect_eq(cgroup_limits_check(&resources, NULL), 0);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		limit.pagesize = (char *)wrong[i];
		cr_expect_lt(cgroup_limits_check(&resources, &err), 0, "%s", wrong[i]);
		cr_expect_eq(err.code, ERROR_INVALID_ARGUMENT);
	}
}
