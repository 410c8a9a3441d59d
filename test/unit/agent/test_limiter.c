/*
 * UpdateContainer, and the limiter below it. The cgroup is a directory whose memory.max is a FIFO:
 * a write to it waits until the test reads, as the kernel's waits until it has reclaimed enough.
 */
#include "agent/cgroup/limiter.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/cgroup/cgroup.h"
#include "agent/pod/sandbox.h"
#include "common/file.h"
#include "test/unit/agent/fakes.h"
#include "test/unit/agent/host.h"

static const uint32_t no_ports[3];

struct slow_cgroup {
	char dir[32];
	char knob[48];
};

static void slow_cgroup_init(struct slow_cgroup *slow)
{
	*slow = (struct slow_cgroup){ .dir = "/tmp/kata-limiter-XXXXXX" };
	cr_assert(mkdtemp(slow->dir));
	snprintf(slow->knob, sizeof(slow->knob), "%s/memory.max", slow->dir);
	cr_assert_eq(mkfifo(slow->knob, 0600), 0);
	fake_cgroup.directory = slow->dir;
}

static void slow_cgroup_fini(struct slow_cgroup *slow)
{
	cr_assert_eq(file_remove_tree(AT_FDCWD, slow->dir, NULL), 0);
}

/* Who waits to write may go on. */
static int begin_reading(const struct slow_cgroup *slow)
{
	int fd = open(slow->knob, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	cr_assert_geq(fd, 0);
	return fd;
}

static void assert_written(int fd, const char *expected)
{
	char text[64] = "";

	cr_assert_geq(read(fd, text, sizeof(text) - 1), 0, "%s", strerror(errno));
	cr_assert_str_eq(text, expected);
	close(fd);
}

struct update {
	Grpc__UpdateContainerRequest request;
	Grpc__LinuxResources resources;
	Grpc__LinuxMemory memory;
	struct host_call call;
};

static void begin_update(struct host *host, const char *id, int64_t limit, struct update *update)
{
	update->request = (Grpc__UpdateContainerRequest)GRPC__UPDATE_CONTAINER_REQUEST__INIT;
	update->resources = (Grpc__LinuxResources)GRPC__LINUX_RESOURCES__INIT;
	update->memory = (Grpc__LinuxMemory)GRPC__LINUX_MEMORY__INIT;
	update->memory.limit = limit;
	update->resources.memory = &update->memory;
	update->request.container_id = (char *)id;
	update->request.resources = &update->resources;
	host_begin(host, "UpdateContainer", &update->request.base, &update->call);
}

static void run_container(struct host *host, const char *id)
{
	cr_assert_eq(host_create(host, id, "exec sleep 100", 0), ERROR_NONE);
	cr_assert_eq(host_start(host, id), ERROR_NONE);
}

Test(limiter, an_update_that_takes_its_time_holds_up_no_other_call, .timeout = 120)
{
	struct slow_cgroup slow;
	struct update update;
	struct host host;
	int fd;

	slow_cgroup_init(&slow);
	host_init(&host);
	run_container(&host, "c1");
	begin_update(&host, "c1", 4096, &update);
	cr_assert_eq(host_exec(&host, "c1", "e1", "exit 5", no_ports), ERROR_NONE);
	cr_assert_eq(host_wait(&host, "c1", "e1"), 5);
	cr_assert_eq(host_signal(&host, "c1", "", SIGTERM), ERROR_NONE);
	cr_assert_eq(host_wait(&host, "c1", ""), 128 + SIGTERM);
	cr_assert_not(update.call.done);
	fd = begin_reading(&slow);
	host_finish(&host, &update.call);
	cr_assert_eq(update.call.err.code, ERROR_NONE, "%s", update.call.err.text);
	assert_written(fd, "4096");
	host_fini(&host);
	slow_cgroup_fini(&slow);
}

Test(limiter, updates_of_a_container_keep_their_order_and_hold_up_no_other, .timeout = 120)
{
	struct slow_cgroup slow, other;
	struct update updates[3], another;
	struct host host;
	int fd;

	slow_cgroup_init(&slow);
	host_init(&host);
	run_container(&host, "c1");
	slow_cgroup_init(&other);
	run_container(&host, "c2");
	for (int i = 0; i < 3; i++)
		begin_update(&host, "c1", 1000L * (i + 1), &updates[i]);
	begin_update(&host, "c2", 7000, &another);
	fd = begin_reading(&other);
	host_finish(&host, &another.call);
	assert_written(fd, "7000");
	cr_assert_not(updates[0].call.done || updates[1].call.done || updates[2].call.done);
	fd = begin_reading(&slow);
	for (int i = 0; i < 3; i++) {
		host_finish(&host, &updates[i].call);
		cr_assert_eq(updates[i].call.err.code, ERROR_NONE);
		cr_assert(i == 0 || updates[i].call.order > updates[i - 1].call.order);
	}
	assert_written(fd, "100020003000");
	cr_assert_eq(host_remove(&host, "c1"), ERROR_NONE);
	cr_assert_eq(host_remove(&host, "c2"), ERROR_NONE);
	host_fini(&host);
	slow_cgroup_fini(&slow);
	slow_cgroup_fini(&other);
}

Test(limiter, a_removal_cancels_updates_and_waits_for_their_writer, .timeout = 120)
{
	struct slow_cgroup slow;
	struct update updates[2];
	struct host host;

	slow_cgroup_init(&slow);
	host_init(&host);
	run_container(&host, "c1");
	for (int i = 0; i < 2; i++)
		begin_update(&host, "c1", 4096, &updates[i]);
	cr_assert_eq(host_remove(&host, "c1"), ERROR_NONE);
	assert_written(begin_reading(&slow), ""); /* the end of file: nobody writes any more */
	for (int i = 0; i < 2; i++) {
		host_finish(&host, &updates[i].call);
		cr_expect_eq(updates[i].call.err.code, ERROR_ABORTED);
		cr_expect_str_eq(updates[i].call.err.text, "container \"c1\" was removed");
	}
	cr_assert_eq(fake_cgroup.alive, 0);
	host_fini(&host);
	slow_cgroup_fini(&slow);
}

Test(limiter, an_update_whose_caller_has_gone_is_done_all_the_same, .timeout = 120)
{
	struct slow_cgroup slow;
	struct update lost, update;
	struct host host;
	int fd;

	slow_cgroup_init(&slow);
	host_init(&host);
	run_container(&host, "c1");
	begin_update(&host, "c1", 1000, &lost);
	cr_assert_eq(host_exec(&host, "c1", "e1", "exit 0", no_ports), ERROR_NONE);
	host_reconnect(&host);
	begin_update(&host, "c1", 2000, &update);
	cr_assert_eq(host_exec(&host, "c1", "e2", "exit 0", no_ports), ERROR_NONE);
	fd = begin_reading(&slow);
	host_finish(&host, &update.call);
	assert_written(fd, "10002000");
	cr_assert_eq(host_remove(&host, "c1"), ERROR_NONE);
	host_fini(&host);
	slow_cgroup_fini(&slow);
}

Test(limiter, an_agent_that_ends_answers_updates_that_are_under_way, .timeout = 120)
{
	struct slow_cgroup slow;
	struct update updates[2];
	struct host host;

	slow_cgroup_init(&slow);
	host_init(&host);
	run_container(&host, "c1");
	for (int i = 0; i < 2; i++)
		begin_update(&host, "c1", 4096, &updates[i]);
	cr_assert_eq(host_exec(&host, "c1", "e1", "exit 0", no_ports), ERROR_NONE);
	sandbox_destroy(host.sandbox);
	host.sandbox = NULL;
	kill(fake_children[0].pid, SIGKILL); /* the init, which would go with the guest */
	for (int i = 0; i < 2; i++) {
		host_finish(&host, &updates[i].call);
		cr_expect_eq(updates[i].call.err.code, ERROR_ABORTED);
	}
	host_fini(&host);
	slow_cgroup_fini(&slow);
}

/* Below the service: what a change has come to. */
struct outcome {
	int calls;
	struct error err;
};

static void keep(void *ctx, const struct error *err)
{
	struct outcome *outcome = ctx;

	outcome->calls++;
	error_copy(&outcome->err, err);
}

Test(limiter, a_change_ends_at_its_deadline_and_those_behind_it_at_theirs, .timeout = 120)
{
	Grpc__LinuxResources resources = GRPC__LINUX_RESOURCES__INIT;
	Grpc__LinuxMemory memory = GRPC__LINUX_MEMORY__INIT;
	struct ev_loop *loop = ev_default_loop(0);
	struct outcome first = { 0 }, second = { 0 }, third = { 0 };
	struct limiter *limiter;
	struct slow_cgroup slow;
	struct cgroup *cgroup;
	struct error err;
	char text[8] = "";
	int fd;

	slow_cgroup_init(&slow);
	memory.limit = 4096;
	resources.memory = &memory;
	cr_assert_eq(cgroup_create("/nowhere", "c1", &cgroup, &err), 0);
	limiter = limiter_create(loop, cgroup, 100);
	cr_assert_eq(limiter_change(limiter, &resources, keep, &first, &err), 0);
	cr_assert_eq(limiter_change(limiter, &resources, keep, &second, &err), 0);
	cr_assert_eq(first.calls, 0);
	ev_run(loop, 0);
	cr_assert_eq(first.calls, 1);
	cr_expect_eq(first.err.code, ERROR_DEADLINE_EXCEEDED);
	cr_expect_str_eq(first.err.text, "cannot write limits: not done within 100 ms");
	cr_assert_eq(second.calls, 1);
	cr_expect_eq(second.err.code, ERROR_DEADLINE_EXCEEDED);
	cr_expect(strstr(second.err.text, "earlier"), "%s", second.err.text);
	cr_expect_not(limiter_busy(limiter));
	fd = begin_reading(&slow);
	do { /* a busy machine may start a writer too late, too */
		third.calls = 0;
		cr_assert_eq(limiter_change(limiter, &resources, keep, &third, &err), 0);
		ev_run(loop, 0);
		cr_assert_eq(third.calls, 1);
	} while (third.err.code == ERROR_DEADLINE_EXCEEDED);
	cr_expect_eq(third.err.code, ERROR_NONE);
	cr_assert_eq(read(fd, text, 4), 4);
	cr_expect_str_eq(text, "4096");
	close(fd);
	limiter_destroy(limiter);
	cgroup_destroy(cgroup);
	slow_cgroup_fini(&slow);
}

Test(limiter, what_makes_no_sense_is_refused_at_once_and_what_fails_is_told)
{
	Grpc__LinuxResources resources = GRPC__LINUX_RESOURCES__INIT;
	Grpc__LinuxMemory memory = GRPC__LINUX_MEMORY__INIT;
	struct ev_loop *loop = ev_default_loop(0);
	struct outcome outcome = { 0 };
	struct limiter *limiter;
	struct cgroup *cgroup;
	struct error err;

	cr_assert_eq(cgroup_create("/nowhere", "c1", &cgroup, &err), 0);
	limiter = limiter_create(loop, cgroup, 10000);
	memory.limit = -5;
	resources.memory = &memory;
	cr_expect_lt(limiter_change(limiter, &resources, keep, &outcome, &err), 0);
	cr_expect_eq(err.code, ERROR_INVALID_ARGUMENT);
	fake_cgroup.refuse_limits = true;
	cr_assert_eq(limiter_change(limiter, NULL, keep, &outcome, &err), 0);
	ev_run(loop, 0);
	cr_expect_eq(outcome.calls, 1);
	cr_expect_eq(outcome.err.code, ERROR_FAILED_PRECONDITION);
	limiter_destroy(limiter);
	cgroup_destroy(cgroup);
}
