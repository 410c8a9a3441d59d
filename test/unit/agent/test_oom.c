#include "agent/cgroup/oom.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/pod/sandbox.h"
#include "common/file.h"
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
