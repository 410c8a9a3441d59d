#include "agent/pod/container.h"

#include <criterion/criterion.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "test/unit/agent/fakes.h"
#include "test/unit/agent/host.h"

static const uint32_t no_ports[3];
static time_t clock_ahead; /* the time of day, as somebody sets it */

/* The C library's is behind this one, which libev asks. */
int gettimeofday(struct timeval *now, void *zone)
{
	int r = (int)syscall(SYS_gettimeofday, now, zone);

	now->tv_sec += clock_ahead;
	return r;
}

Test(container, runs_and_tells_its_status_and_output)
{
	struct host host;
	int out;
	char *text;

	host_init(&host);
	out = host_stream(&host, 1);
	cr_assert_eq(host_create(&host, "c1", "echo hello; exit 7", 1), ERROR_NONE);
	cr_assert_eq(host_start(&host, "c1"), ERROR_NONE);
	cr_assert_eq(host_wait(&host, "c1", ""), 7);
	text = host_read_all(&host, out);
	cr_assert_str_eq(text, "hello\n");
	cr_assert_eq(host_wait(&host, "c1", "c1"), 7, "an init's status is kept until removal");
	cr_assert_eq(host_remove(&host, "c1"), ERROR_NONE);
	cr_assert_eq(fake_cgroup.alive, 0);
	cr_assert_eq(host_wait(&host, "c1", ""), -ERROR_INVALID_ARGUMENT);
	host_fini(&host);
	free(text);
}

Test(container, every_waiter_gets_the_status_of_a_signal)
{
	struct host host;
	struct host_call waits[5];

	host_init(&host);
	cr_assert_eq(host_create(&host, "c1", "exec sleep 100", 0), ERROR_NONE);
	cr_assert_eq(host_start(&host, "c1"), ERROR_NONE);
	for (int i = 0; i < 5; i++)
		host_begin_wait(&host, "c1", "", &waits[i]);
	cr_assert_eq(host_signal(&host, "c1", "c1", SIGTERM), ERROR_NONE);
	for (int i = 0; i < 5; i++) {
		host_finish(&host, &waits[i]);
		cr_assert_eq(waits[i].status, 128 + SIGTERM);
	}
	cr_assert_eq(host_signal(&host, "c1", "", SIGTERM), ERROR_NOT_FOUND);
	cr_assert_eq(host_remove(&host, "c1"), ERROR_NONE);
	host_fini(&host);
}

Test(container, the_exit_is_told_before_the_output_has_ended)
{
	const char *script = "(sleep 0.3; echo late) & echo now; exit 3";
	struct host host;
	struct host_call wait;
	char *text;
	int out;

	host_init(&host);
	out = host_stream(&host, 1);
	cr_assert_eq(host_create(&host, "c1", script, 1), ERROR_NONE);
	cr_assert_eq(host_start(&host, "c1"), ERROR_NONE);
	host_begin_wait(&host, "c1", "", &wait);
	host_finish(&host, &wait);
	cr_assert_eq(wait.status, 3);
	cr_assert_eq(wait.stdout_bytes, 4);
	cr_assert_eq(host_remove(&host, "c1"), ERROR_NONE);
	text = host_read_all(&host, out);
	cr_assert_str_eq(text, "now\nlate\n");
	host_fini(&host);
	free(text);
}

Test(container, what_it_leaves_behind_is_killed_without_a_pid_namespace)
{
	struct host host;

	host_init(&host);
	cr_assert_eq(host_create(&host, "c1", "exit 0", 0), ERROR_NONE);
	cr_assert_eq(host_start(&host, "c1"), ERROR_NONE);
	cr_assert_eq(host_wait(&host, "c1", ""), 0);
	cr_assert_eq(fake_cgroup.kills, 1);
	host_fini(&host);
}

Test(container, a_missing_executable_fails_its_creation_and_leaves_nothing)
{
	struct host host;

	host_init(&host);
	fake_cgroup.busy = 3;
	cr_assert_eq(host_create(&host, "c1", "nosuch", 0), ERROR_NOT_FOUND);
	cr_assert_eq(fake_cgroup.alive, 0);
	cr_assert_eq(host_create(&host, "c1", "exit 0", 0), ERROR_NONE, "its id is free again");
	host_fini(&host);
}

Test(container, what_its_removal_meets_does_not_hide_why_its_creation_failed)
{
	struct host host;

	host_init(&host);
	fake_cgroup.refuse_kill = true;
	cr_assert_eq(host_create(&host, "c1", "nosuch", 0), ERROR_NOT_FOUND);
	host_fini(&host);
}

Test(container, limits_that_cannot_be_set_fail_its_creation_and_leave_nothing)
{
	struct host host;

	host_init(&host);
	fake_cgroup.refuse_limits = true;
	cr_assert_eq(host_create(&host, "c1", "exit 0", 0), ERROR_FAILED_PRECONDITION);
	cr_assert_eq(fake_cgroup.alive, 0);
	host_fini(&host);
}

Test(container, an_unknown_stream_fails_its_creation)
{
	struct host host;

	host_init(&host);
	cr_assert_eq(host_create(&host, "c1", "exit 0", 77), ERROR_NOT_FOUND);
	cr_assert_eq(fake_cgroup.alive, 0);
	host_fini(&host);
}

Test(container, is_created_and_started_once)
{
	struct host host;
	char too_long[NAME_MAX + 2] = { 0 };

	host_init(&host);
	cr_assert_eq(host_create(&host, "../c1", "exit 0", 0), ERROR_INVALID_ARGUMENT);
	memset(too_long, 'c', sizeof(too_long) - 1); /* for a directory's name */
	cr_assert_eq(host_create(&host, too_long, "exit 0", 0), ERROR_INVALID_ARGUMENT);
	cr_assert_eq(host_create(&host, "c1", "exec sleep 100", 0), ERROR_NONE);
	cr_assert_eq(host_create(&host, "c1", "exec sleep 100", 0), ERROR_ALREADY_EXISTS);
	cr_assert_eq(host_start(&host, "c2"), ERROR_NOT_FOUND);
	cr_assert_eq(host_start(&host, "c1"), ERROR_NONE);
	cr_assert_eq(host_start(&host, "c1"), ERROR_FAILED_PRECONDITION);
	cr_assert_eq(host_remove(&host, "c1"), ERROR_NONE);
	host_fini(&host);
}

Test(container, starts_when_the_files_that_it_binds_have_been_looked_at)
{
	struct host host;

	host_init(&host);
	cr_assert_eq(host_create_with_file(&host, "c1", "exit 7", "/etc/passwd"), ERROR_NONE);
	cr_assert_eq(host_start(&host, "c1"), ERROR_NONE);
	cr_assert_eq(host_start(&host, "c1"), ERROR_FAILED_PRECONDITION);
	cr_assert_eq(host_wait(&host, "c1", ""), 7);
	cr_assert_eq(host_remove(&host, "c1"), ERROR_NONE);
	cr_assert_eq(host_create_with_file(&host, "c2", "exit 8", "/nosuch"), ERROR_NONE);
	cr_assert_eq(host_start(&host, "c2"), ERROR_NONE);
	cr_assert_eq(host_wait(&host, "c2", ""), 8);
	host_fini(&host);
}

Test(container, may_be_removed_while_the_files_that_it_binds_are_looked_at)
{
	Grpc__StartContainerRequest request = GRPC__START_CONTAINER_REQUEST__INIT;
	struct host_call start;
	struct host host;

	host_init(&host);
	cr_assert_eq(host_create_with_file(&host, "c1", "exec sleep 100", "/etc/passwd"),
	             ERROR_NONE);
	request.container_id = "c1";
	host_begin(&host, "StartContainer", &request.base, &start);
	cr_assert_eq(host_remove(&host, "c1"), ERROR_NONE);
	host_finish(&host, &start);
	cr_assert_eq(fake_cgroup.alive, 0);
	host_fini(&host);
}

Test(container, removal_kills_and_the_waiter_is_told)
{
	struct host host;
	struct host_call wait;

	host_init(&host);
	cr_assert_eq(host_create(&host, "c1", "trap '' TERM; exec sleep 100", 0), ERROR_NONE);
	cr_assert_eq(host_start(&host, "c1"), ERROR_NONE);
	host_begin_wait(&host, "c1", "", &wait);
	cr_assert_eq(host_remove(&host, "c1"), ERROR_NONE);
	host_finish(&host, &wait);
	cr_assert_eq(wait.status, 128 + SIGKILL);
	host_fini(&host);
}

Test(container, one_that_was_never_started_can_be_killed)
{
	struct host host;

	host_init(&host);
	cr_assert_eq(host_create(&host, "c1", "exit 0", 0), ERROR_NONE);
	cr_assert_eq(host_signal(&host, "c1", "", SIGKILL), ERROR_NONE);
	cr_assert_eq(host_wait(&host, "c1", ""), 128 + SIGKILL);
	cr_assert_eq(host_start(&host, "c1"), ERROR_FAILED_PRECONDITION);
	cr_assert_eq(host_remove(&host, "c1"), ERROR_NONE);
	host_fini(&host);
}

static enum error_code signal_all(struct host *host, const char *id, uint32_t sig)
{
	Grpc__SignalProcessRequest request = GRPC__SIGNAL_PROCESS_REQUEST__INIT;

	request.container_id = (char *)id;
	request.exec_id = (char *)id; /* as the shim names the init */
	request.signal = sig;
	request.all = 1;
	return host_call(host, "SignalProcess", &request.base, NULL);
}

Test(container, a_signal_to_all_reaches_its_execs)
{
	struct host host;

	host_init(&host);
	cr_assert_eq(host_create(&host, "c1", "exec sleep 100", 0), ERROR_NONE);
	cr_assert_eq(host_start(&host, "c1"), ERROR_NONE);
	cr_assert_eq(host_exec(&host, "c1", "e1", "exec sleep 100", no_ports), ERROR_NONE);
	cr_assert_eq(signal_all(&host, "c1", SIGTERM), ERROR_NONE);
	cr_assert_eq(host_wait(&host, "c1", "e1"), 128 + SIGTERM);
	cr_assert_eq(host_wait(&host, "c1", ""), 128 + SIGTERM);
	cr_assert_eq(signal_all(&host, "c1", SIGTERM), ERROR_NOT_FOUND);
	cr_assert_eq(host_remove(&host, "c1"), ERROR_NONE);
	host_fini(&host);
}

Test(container, a_kill_of_all_takes_its_execs)
{
	struct host host;

	host_init(&host);
	cr_assert_eq(host_create(&host, "c1", "exec sleep 100", 0), ERROR_NONE);
	cr_assert_eq(host_exec(&host, "c1", "e1", "exec sleep 100", no_ports), ERROR_NONE);
	cr_assert_eq(signal_all(&host, "c1", SIGKILL), ERROR_NONE);
	cr_assert_eq(host_wait(&host, "c1", "e1"), 128 + SIGKILL);
	cr_assert_eq(host_remove(&host, "c1"), ERROR_NONE);
	host_fini(&host);
}

Test(exec, has_its_own_status_and_streams)
{
	struct host host;
	const uint32_t ports[3] = { 11, 12, 13 };
	char *text;
	int fds[3];

	host_init(&host);
	for (int i = 0; i < 3; i++)
		fds[i] = host_stream(&host, ports[i]);
	cr_assert_eq(host_create(&host, "c1", "exec sleep 100", 0), ERROR_NONE);
	cr_assert_eq(host_start(&host, "c1"), ERROR_NONE);
	cr_assert_eq(host_exec(&host, "c1", "e1", "cat; echo bad >&2; exit 4", ports), ERROR_NONE);
	cr_assert_eq(host_exec(&host, "c1", "e1", "exit 0", no_ports), ERROR_ALREADY_EXISTS);
	cr_assert_eq(write(fds[0], "in", 2), 2);
	shutdown(fds[0], SHUT_WR);
	cr_assert_eq(host_wait(&host, "c1", "e1"), 4);
	text = host_read_all(&host, fds[1]);
	cr_assert_str_eq(text, "in");
	free(text);
	text = host_read_all(&host, fds[2]);
	cr_assert_str_eq(text, "bad\n");
	free(text);
	cr_assert_eq(host_wait(&host, "c1", "e1"), -ERROR_NOT_FOUND, "it is forgotten");
	cr_assert_eq(host_exec(&host, "c1", "e1", "exit 5", no_ports), ERROR_NONE);
	cr_assert_eq(host_wait(&host, "c1", "e1"), 5);
	cr_assert_eq(host_remove(&host, "c1"), ERROR_NONE);
	host_fini(&host);
}

Test(exec, close_stdin_ends_it_after_the_last_byte)
{
	Grpc__CloseStdinRequest request = GRPC__CLOSE_STDIN_REQUEST__INIT;
	const uint32_t ports[3] = { 11, 12, 0 };
	struct host host;
	int in, out;
	char *text;

	host_init(&host);
	in = host_stream(&host, 11);
	out = host_stream(&host, 12);
	cr_assert_eq(host_create(&host, "c1", "exec sleep 100", 0), ERROR_NONE);
	cr_assert_eq(host_exec(&host, "c1", "e1", "cat", ports), ERROR_NONE);
	cr_assert_eq(write(in, "last", 4), 4);
	request.container_id = "c1";
	request.exec_id = "e1";
	cr_assert_eq(host_call(&host, "CloseStdin", &request.base, NULL), ERROR_NONE);
	cr_assert_eq(host_wait(&host, "c1", "e1"), 0);
	text = host_read_all(&host, out);
	cr_assert_str_eq(text, "last");
	free(text);
	cr_assert_eq(host_remove(&host, "c1"), ERROR_NONE);
	host_fini(&host);
}

Test(exec, close_stdin_while_it_is_made_is_remembered)
{
	Grpc__CloseStdinRequest closing = GRPC__CLOSE_STDIN_REQUEST__INIT;
	Grpc__ExecProcessRequest request = GRPC__EXEC_PROCESS_REQUEST__INIT;
	Grpc__Process process = GRPC__PROCESS__INIT;
	char *args[] = { "cat" };
	struct host_call exec, close_it;
	struct host host;
	char *text;
	int in, out;

	host_init(&host);
	in = host_stream(&host, 11);
	out = host_stream(&host, 12);
	cr_assert_eq(host_create(&host, "c1", "exec sleep 100", 0), ERROR_NONE);
	cr_assert_eq(write(in, "last", 4), 4);
	process.args = args;
	process.n_args = 1;
	request.container_id = closing.container_id = "c1";
	request.exec_id = closing.exec_id = "e1";
	request.process = &process;
	request.stdin_port = 11;
	request.stdout_port = 12;
	host_begin(&host, "ExecProcess", &request.base, &exec);
	host_begin(&host, "CloseStdin", &closing.base, &close_it);
	host_finish(&host, &exec);
	host_finish(&host, &close_it);
	cr_assert_lt(close_it.order, exec.order, "it came while the exec was made");
	cr_assert_eq(close_it.err.code, ERROR_NONE);
	cr_assert_eq(host_wait(&host, "c1", "e1"), 0);
	text = host_read_all(&host, out);
	cr_assert_str_eq(text, "last");
	free(text);
	cr_assert_eq(host_remove(&host, "c1"), ERROR_NONE);
	host_fini(&host);
}

Test(exec, a_missing_executable_fails_it_and_frees_its_id)
{
	struct host host;

	host_init(&host);
	cr_assert_eq(host_create(&host, "c1", "exec sleep 100", 0), ERROR_NONE);
	cr_assert_eq(host_exec(&host, "c1", "e1", "nosuch", no_ports), ERROR_NOT_FOUND);
	cr_assert_eq(host_exec(&host, "c1", "e1", "exit 1", no_ports), ERROR_NONE);
	cr_assert_eq(host_wait(&host, "c1", "e1"), 1);
	cr_assert_eq(host_remove(&host, "c1"), ERROR_NONE);
	host_fini(&host);
}

Test(exec, one_named_as_its_container_is_not_the_init)
{
	struct host host;

	host_init(&host);
	cr_assert_eq(host_create(&host, "c1", "exec sleep 100", 0), ERROR_NONE);
	cr_assert_eq(host_start(&host, "c1"), ERROR_NONE);
	cr_assert_eq(host_exec(&host, "c1", "c1", "exit 9", no_ports), ERROR_NONE);
	cr_assert_eq(host_wait(&host, "c1", "c1"), 9);
	cr_assert_eq(host_signal(&host, "c1", "c1", SIGKILL), ERROR_NONE);
	cr_assert_eq(host_wait(&host, "c1", ""), 128 + SIGKILL);
	cr_assert_eq(host_remove(&host, "c1"), ERROR_NONE);
	host_fini(&host);
}

Test(exec, fifty_at_once_each_get_their_own_status)
{
	struct host_call waits[50];
	struct host host;
	char id[8], script[16];

	host_init(&host);
	cr_assert_eq(host_create(&host, "c1", "exec sleep 100", 0), ERROR_NONE);
	for (int i = 0; i < 50; i++) {
		snprintf(id, sizeof(id), "e%d", i);
		snprintf(script, sizeof(script), "exit %d", i);
		cr_assert_eq(host_exec(&host, "c1", id, script, no_ports), ERROR_NONE);
		host_begin_wait(&host, "c1", id, &waits[i]);
	}
	for (int i = 0; i < 50; i++) {
		host_finish(&host, &waits[i]);
		cr_assert_eq(waits[i].status, i);
	}
	cr_assert_eq(host_remove(&host, "c1"), ERROR_NONE);
	host_fini(&host);
}

Test(exec, is_refused_while_the_container_is_paused_or_stopped)
{
	Grpc__PauseContainerRequest pause_it = GRPC__PAUSE_CONTAINER_REQUEST__INIT;
	Grpc__ResumeContainerRequest resume = GRPC__RESUME_CONTAINER_REQUEST__INIT;
	struct host host;

	host_init(&host);
	pause_it.container_id = resume.container_id = "c1";
	cr_assert_eq(host_create(&host, "c1", "exec sleep 100", 0), ERROR_NONE);
	cr_assert_eq(host_start(&host, "c1"), ERROR_NONE);
	cr_assert_eq(host_call(&host, "PauseContainer", &pause_it.base, NULL), ERROR_NONE);
	cr_assert(fake_cgroup.frozen);
	cr_assert_eq(host_exec(&host, "c1", "e1", "exit 1", no_ports), ERROR_FAILED_PRECONDITION);
	cr_assert_eq(host_call(&host, "PauseContainer", &pause_it.base, NULL),
	             ERROR_FAILED_PRECONDITION);
	cr_assert_eq(host_call(&host, "ResumeContainer", &resume.base, NULL), ERROR_NONE);
	cr_assert_not(fake_cgroup.frozen);
	cr_assert_eq(host_signal(&host, "c1", "", SIGKILL), ERROR_NONE);
	cr_assert_eq(host_wait(&host, "c1", ""), 128 + SIGKILL);
	cr_assert_eq(host_exec(&host, "c1", "e1", "exit 1", no_ports), ERROR_FAILED_PRECONDITION);
	host_fini(&host);
}

Test(freezer, a_pause_is_answered_when_all_have_stopped)
{
	Grpc__PauseContainerRequest pause_it = GRPC__PAUSE_CONTAINER_REQUEST__INIT;
	struct host host;

	host_init(&host);
	pause_it.container_id = "c1";
	fake_cgroup.looks_to_freeze = 4;
	cr_assert_eq(host_create(&host, "c1", "exec sleep 100", 0), ERROR_NONE);
	cr_assert_eq(host_start(&host, "c1"), ERROR_NONE);
	cr_assert_eq(host_call(&host, "PauseContainer", &pause_it.base, NULL), ERROR_NONE);
	cr_assert_eq(fake_cgroup.looks_to_freeze, 0);
	cr_assert_eq(host_remove(&host, "c1"), ERROR_NONE, "a paused one can be removed");
	host_fini(&host);
}

Test(freezer, a_signal_to_all_comes_when_all_have_stopped_and_they_go_on)
{
	struct host host;

	host_init(&host);
	cr_assert_eq(host_create(&host, "c1", "exec sleep 100", 0), ERROR_NONE);
	cr_assert_eq(host_start(&host, "c1"), ERROR_NONE);
	fake_cgroup.looks_to_freeze = 4;
	cr_assert_eq(signal_all(&host, "c1", SIGUSR1), ERROR_NONE);
	cr_assert_eq(fake_cgroup.looks_to_freeze, 0);
	cr_assert_not(fake_cgroup.frozen);
	cr_assert_eq(host_remove(&host, "c1"), ERROR_NONE);
	host_fini(&host);
}

Test(freezer, a_signal_to_all_leaves_a_paused_one_paused)
{
	Grpc__PauseContainerRequest pause_it = GRPC__PAUSE_CONTAINER_REQUEST__INIT;
	struct host host;

	host_init(&host);
	pause_it.container_id = "c1";
	cr_assert_eq(host_create(&host, "c1", "exec sleep 100", 0), ERROR_NONE);
	cr_assert_eq(host_start(&host, "c1"), ERROR_NONE);
	cr_assert_eq(host_call(&host, "PauseContainer", &pause_it.base, NULL), ERROR_NONE);
	cr_assert_eq(signal_all(&host, "c1", SIGCONT), ERROR_NONE);
	cr_assert(fake_cgroup.frozen);
	cr_assert_eq(host_remove(&host, "c1"), ERROR_NONE);
	host_fini(&host);
}

Test(freezer, a_signal_to_all_that_do_not_stop_is_sent_all_the_same)
{
	struct host host;

	host_init(&host);
	cr_assert_eq(host_create(&host, "c1", "exec sleep 100", 0), ERROR_NONE);
	cr_assert_eq(host_start(&host, "c1"), ERROR_NONE);
	fake_cgroup.looks_to_freeze = 100000;
	cr_assert_eq(signal_all(&host, "c1", SIGTERM), ERROR_NONE);
	cr_assert_not(fake_cgroup.frozen);
	cr_assert_eq(host_wait(&host, "c1", ""), 128 + SIGTERM);
	cr_assert_eq(host_remove(&host, "c1"), ERROR_NONE);
	host_fini(&host);
}

Test(freezer, a_pause_whose_processes_cannot_be_seen_is_none)
{
	Grpc__PauseContainerRequest pause_it = GRPC__PAUSE_CONTAINER_REQUEST__INIT;
	struct host host;

	host_init(&host);
	pause_it.container_id = "c1";
	cr_assert_eq(host_create(&host, "c1", "exec sleep 100", 0), ERROR_NONE);
	cr_assert_eq(host_start(&host, "c1"), ERROR_NONE);
	fake_cgroup.blind = true;
	cr_assert_neq(host_call(&host, "PauseContainer", &pause_it.base, NULL), ERROR_NONE);
	cr_assert_not(fake_cgroup.frozen);
	fake_cgroup.blind = false;
	cr_assert_eq(host_exec(&host, "c1", "e1", "exit 1", no_ports), ERROR_NONE);
	cr_assert_eq(host_remove(&host, "c1"), ERROR_NONE);
	host_fini(&host);
}

Test(freezer, a_resume_ends_a_pause_that_is_under_way)
{
	Grpc__PauseContainerRequest pause_it = GRPC__PAUSE_CONTAINER_REQUEST__INIT;
	Grpc__ResumeContainerRequest resume = GRPC__RESUME_CONTAINER_REQUEST__INIT;
	struct host_call pausing;
	struct host host;

	host_init(&host);
	pause_it.container_id = resume.container_id = "c1";
	fake_cgroup.looks_to_freeze = 1000;
	cr_assert_eq(host_create(&host, "c1", "exec sleep 100", 0), ERROR_NONE);
	cr_assert_eq(host_start(&host, "c1"), ERROR_NONE);
	host_begin(&host, "PauseContainer", &pause_it.base, &pausing);
	cr_assert_eq(host_call(&host, "ResumeContainer", &resume.base, NULL), ERROR_NONE);
	host_finish(&host, &pausing);
	cr_assert_eq(pausing.err.code, ERROR_ABORTED);
	cr_assert_not(fake_cgroup.frozen);
	cr_assert_eq(host_remove(&host, "c1"), ERROR_NONE);
	host_fini(&host);
}

/* libev notices a clock that was set within half a second. */
Test(freezer, a_clock_that_is_set_shortens_no_pause)
{
	Grpc__PauseContainerRequest pause_it = GRPC__PAUSE_CONTAINER_REQUEST__INIT;
	struct host_call pausing;
	struct host host;

	host_init(&host);
	pause_it.container_id = "c1";
	fake_cgroup.looks_to_freeze = 60;
	cr_assert_eq(host_create(&host, "c1", "exec sleep 100", 0), ERROR_NONE);
	cr_assert_eq(host_start(&host, "c1"), ERROR_NONE);
	host_begin(&host, "PauseContainer", &pause_it.base, &pausing);
	while (fake_cgroup.looks_to_freeze == 60)
		host_turn(&host);
	clock_ahead = 3600;
	host_finish(&host, &pausing);
	cr_assert_eq(pausing.err.code, ERROR_NONE, "%s", pausing.err.text);
	cr_assert_eq(host_remove(&host, "c1"), ERROR_NONE);
	host_fini(&host);
}

Test(container, a_clock_that_is_set_shortens_no_removal)
{
	Grpc__RemoveContainerRequest request = GRPC__REMOVE_CONTAINER_REQUEST__INIT;
	struct host_call removal;
	struct host host;

	host_init(&host);
	request.container_id = "c1";
	cr_assert_eq(host_create(&host, "c1", "exec sleep 100", 0), ERROR_NONE);
	fake_cgroup.busy = 25;
	host_begin(&host, "RemoveContainer", &request.base, &removal);
	while (fake_cgroup.busy == 25)
		host_turn(&host);
	clock_ahead = 3600;
	host_finish(&host, &removal);
	cr_assert_eq(removal.err.code, ERROR_NONE, "%s", removal.err.text);
	host_fini(&host);
}
