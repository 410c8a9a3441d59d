#include "agent/cgroup/oom.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/pod/sandbox.h"
#include "common/file.h"
#include "test/unit/agent/fakes.h"
#include "test/unit/agent/host.h"

static void put(const char *dir, const char *text)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "%s/memory.events", dir);
	file = fopen(path, "w");
	cr_assert_neq(file, NULL);
	fputs(text, file);
	fclose(file);
}

Test(oom, each_kill_is_told_once_to_whom_asked)
{
	Grpc__GetOOMEventRequest request = GRPC__GET_OOMEVENT_REQUEST__INIT;
	char path[] = "/tmp/test_oom.XXXXXX";
	struct oom_watch *watch;
	struct host_call first, second;
	struct host host;
	int dir;

	host_init(&host);
	cr_assert_neq(mkdtemp(path), NULL);
	put(path, "low 0\noom 0\noom_kill 0\n");
	dir = open(path, O_RDONLY | O_DIRECTORY);
	cr_assert_eq(oom_watch_create(sandbox_oom(host.sandbox), "c1", dir, &watch, NULL), 0);

	host_begin(&host, "GetOOMEvent", &request.base, &first);
	put(path, "low 0\noom 1\noom_kill 1\n");
	host_finish(&host, &first);
	cr_assert_eq(first.err.code, ERROR_NONE);
	cr_assert_str_eq(first.container_id, "c1");

	put(path, "low 1\noom 1\noom_kill 1\n"); /* no kill */
	put(path, "low 1\noom 2\noom_kill 2\n"); /* nobody has asked yet */
	host_begin(&host, "GetOOMEvent", &request.base, &second);
	host_finish(&host, &second);
	cr_assert_eq(second.err.code, ERROR_NONE);

	oom_watch_destroy(watch);
	close(dir);
	cr_assert_eq(file_remove_tree(AT_FDCWD, path, NULL), 0);
	host_fini(&host);
}

/* As a kernel that tells of it later: the watched file is not touched. */
static void put_unseen(const char *dir, const char *text)
{
	char file[64], old[64];

	snprintf(file, sizeof(file), "%s/memory.events", dir);
	snprintf(old, sizeof(old), "%s/before", dir);
	cr_assert_eq(rename(file, old), 0);
	put(dir, text);
}

struct killed {
	struct host host;
	char dir[32];
};

/* A container that runs, whose cgroup has a memory.events. */
static void run_container(struct killed *killed)
{
	host_init(&killed->host);
	cr_assert_neq(mkdtemp(strcpy(killed->dir, "/tmp/test_oom.XXXXXX")), NULL);
	put(killed->dir, "oom_kill 0\n");
	fake_cgroup.directory = killed->dir;
	cr_assert_eq(host_create(&killed->host, "c1", "exec sleep 100", 0), ERROR_NONE);
	cr_assert_eq(host_start(&killed->host, "c1"), ERROR_NONE);
}

static void end_container(struct killed *killed)
{
	cr_assert_eq(host_remove(&killed->host, "c1"), ERROR_NONE);
	cr_assert_eq(file_remove_tree(AT_FDCWD, killed->dir, NULL), 0);
	host_fini(&killed->host);
}

static void begin_wait(struct killed *killed, bool with_oom, struct host_call *call)
{
	Grpc__WaitProcessRequest request = GRPC__WAIT_PROCESS_REQUEST__INIT;

	request.container_id = "c1";
	request.with_oom = with_oom;
	host_begin(&killed->host, "WaitProcess", &request.base, call);
}

static void kill_unseen(struct killed *killed)
{
	put_unseen(killed->dir, "oom_kill 1\n");
	cr_assert_eq(host_signal(&killed->host, "c1", "", 9), ERROR_NONE);
}

static void assert_event(struct killed *killed)
{
	Grpc__GetOOMEventRequest request = GRPC__GET_OOMEVENT_REQUEST__INIT;
	struct host_call call;

	cr_assert_eq(host_call(&killed->host, "GetOOMEvent", &request.base, &call), ERROR_NONE);
	cr_assert_str_eq(call.container_id, "c1");
}

Test(oom, a_kill_that_the_kernel_has_not_told_yet_comes_before_the_exit)
{
	Grpc__GetOOMEventRequest request = GRPC__GET_OOMEVENT_REQUEST__INIT;
	struct host_call wait, event;
	struct killed killed;

	run_container(&killed);
	begin_wait(&killed, true, &wait);
	host_begin(&killed.host, "GetOOMEvent", &request.base, &event);
	kill_unseen(&killed);
	host_finish(&killed.host, &wait);
	cr_assert(event.done);
	cr_assert_lt(event.order, wait.order);
	cr_assert_not(wait.oom, "it is told once");
	end_container(&killed);
}

Test(oom, a_kill_that_nobody_asks_for_comes_with_the_exit_once)
{
	struct host_call first, second;
	struct killed killed;

	run_container(&killed);
	begin_wait(&killed, true, &first);
	kill_unseen(&killed);
	host_finish(&killed.host, &first);
	cr_assert(first.oom);
	begin_wait(&killed, true, &second);
	host_finish(&killed.host, &second);
	cr_assert_not(second.oom);
	end_container(&killed);
}

Test(oom, a_caller_that_does_not_know_of_it_in_an_exit_asks)
{
	struct host_call wait;
	struct killed killed;

	run_container(&killed);
	begin_wait(&killed, false, &wait);
	kill_unseen(&killed);
	host_finish(&killed.host, &wait);
	cr_assert_not(wait.oom);
	assert_event(&killed);
	end_container(&killed);
}

Test(oom, a_kill_is_seen_before_the_cgroup_goes)
{
	struct killed killed;

	run_container(&killed);
	put_unseen(killed.dir, "oom_kill 1\n"); /* of a process that is not the agent's child */
	cr_assert_eq(host_remove(&killed.host, "c1"), ERROR_NONE);
	assert_event(&killed);
	cr_assert_eq(file_remove_tree(AT_FDCWD, killed.dir, NULL), 0);
	host_fini(&killed.host);
}

Test(oom, one_who_has_gone_takes_no_event_along)
{
	Grpc__GetOOMEventRequest request = GRPC__GET_OOMEVENT_REQUEST__INIT;
	struct host_call gone;
	struct killed killed;

	run_container(&killed);
	host_begin(&killed.host, "GetOOMEvent", &request.base, &gone);
	cr_assert_eq(host_signal(&killed.host, "c1", "", 0), ERROR_NONE, "it has been heard");
	host_reconnect(&killed.host);
	/* An answer to one whose end is not seen yet is lost: no sender can know. */
	cr_assert_eq(host_signal(&killed.host, "c1", "", 0), ERROR_NONE, "its end has been seen");
	kill_unseen(&killed);
	assert_event(&killed);
	end_container(&killed);
}

Test(oom, those_who_still_ask_at_the_end_are_told)
{
	Grpc__GetOOMEventRequest request = GRPC__GET_OOMEVENT_REQUEST__INIT;
	struct host_call call;
	struct host host;

	host_init(&host);
	host_begin(&host, "GetOOMEvent", &request.base, &call);
	cr_assert_eq(host_signal(&host, "none", "", 9), ERROR_INVALID_ARGUMENT);
	sandbox_destroy(host.sandbox);
	host.sandbox = NULL;
	host_finish(&host, &call);
	cr_assert_eq(call.err.code, ERROR_UNAVAILABLE);
	host_fini(&host);
}
