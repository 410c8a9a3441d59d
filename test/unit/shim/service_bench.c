#include "service_bench.h"

#include <criterion/criterion.h>
#include <ev.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/log.h"
#include "common/mem.h"
#include "fake_guest.h"
#include "proto/google.pb-c.h"
#include "proto/task_v2.pb-c.h"
#include "proto/ttrpc/ttrpc_client.h"
#include "shim/config/config.h"

#define T(name)   Containerd__Task__V2__##name
#define EXEC_SPEC "{\"args\":[\"true\"],\"cwd\":\"/\",\"user\":{\"uid\":0,\"gid\":0}}"

struct bench bench;

static void on_ending(void *ctx)
{
	cr_expect_not(bench.ending);
	cr_expect_not(bench.ended);
	bench.ending = true;
}

static void on_end(void *ctx)
{
	bench.ended = true;
}

static void on_answer(void *ctx, const ProtobufCMessage *response, const struct error *err)
{
	struct answer *answer = ctx;

	answer->here = true;
	error_copy(&answer->err, err);
	if (err)
		return;
	if (strstr(response->descriptor->name, "CreateTaskResponse")) {
		answer->pid = ((const T(CreateTaskResponse) *)response)->pid;
	} else if (strstr(response->descriptor->name, "StartResponse")) {
		answer->pid = ((const T(StartResponse) *)response)->pid;
	} else if (strstr(response->descriptor->name, "WaitResponse")) {
		answer->status = ((const T(WaitResponse) *)response)->exit_status;
	} else if (strstr(response->descriptor->name, "DeleteResponse")) {
		answer->status = ((const T(DeleteResponse) *)response)->exit_status;
		answer->pid = ((const T(DeleteResponse) *)response)->pid;
	} else if (strstr(response->descriptor->name, "StatsResponse")) {
		const T(StatsResponse) *stats = (const void *)response;

		cr_expect(strstr(stats->stats->type_url, "io.containerd.cgroups.v"));
		answer->status = (uint32_t)stats->stats->value.len;
	} else if (strstr(response->descriptor->name, "StateResponse")) {
		answer->state = ((const T(StateResponse) *)response)->status;
		answer->pid = ((const T(StateResponse) *)response)->pid;
	} else if (strstr(response->descriptor->name, "ConnectResponse")) {
		answer->pid = ((const T(ConnectResponse) *)response)->task_pid;
	} else if (strstr(response->descriptor->name, "PidsResponse")) {
		const T(PidsResponse) *pids = (const void *)response;

		answer->n_pids = pids->n_processes;
		answer->last_pid_is_exec =
			pids->n_processes && pids->processes[pids->n_processes - 1]->info;
	}
}

void bench_ask(struct answer *answer, const char *method, const void *request,
               const ProtobufCMessageDescriptor *response)
{
	autofree char *name = mem_printf("containerd.task.%s.Task", bench.version);
	struct error err;

	*answer = (struct answer){ 0 };
	cr_assert_eq(ttrpc_client_call(bench.client, name, method, request, response,
	                               bench.timeout_ms, on_answer, answer, NULL, &err),
	             0, "%s", err.text);
}

static void on_tick(struct ev_loop *l, ev_timer *timer, int events)
{
	ev_break(l, EVBREAK_ONE);
}

/* Runs the loop until *@flag, a minute at most. */
bool bench_wait_until(const bool *flag)
{
	ev_timer tick;

	ev_timer_init(&tick, on_tick, 0.005, 0.005);
	ev_timer_start(bench.loop, &tick);
	for (int i = 0; i < 12000 && !*flag; i++)
		ev_run(bench.loop, 0);
	ev_timer_stop(bench.loop, &tick);
	return *flag;
}

void bench_run_for(double seconds)
{
	ev_timer tick;

	ev_timer_init(&tick, on_tick, seconds, 0);
	ev_timer_start(bench.loop, &tick);
	ev_run(bench.loop, 0);
	ev_timer_stop(bench.loop, &tick);
}

static unsigned int handled; /* events, by the loop */

static void handle_pending(struct ev_loop *loop)
{
	handled += ev_pending_count(loop);
	ev_invoke_pending(loop);
}

static bool has_child(void)
{
	siginfo_t info;

	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/* Lets everything happen that is about to: until no child is at work, and the loop finds nothing to
 * handle. The guest is in the same loop; what waits for a time is not waited for. */
void bench_settle(void)
{
	if (fake.holds)
		bench_wait_until(&fake.holding);
	ev_set_invoke_pending_cb(bench.loop, handle_pending);
	do {
		handled = 0;
		ev_run(bench.loop, has_child() ? EVRUN_ONCE : EVRUN_NOWAIT);
	} while (handled || has_child());
	ev_set_invoke_pending_cb(bench.loop, ev_invoke_pending);
}

struct answer bench_get(const char *method, const void *request,
                        const ProtobufCMessageDescriptor *response)
{
	struct answer answer;

	bench_ask(&answer, method, request, response);
	cr_assert(bench_wait_until(&answer.here), "%s is not answered", method);
	return answer;
}

/* The calls, as this file needs them. */

void bench_ask_create(struct answer *answer)
{
	T(CreateTaskRequest) request = CONTAINERD__TASK__V2__CREATE_TASK_REQUEST__INIT;

	request.id = (char *)bench.id;
	request.bundle = bench.bundle ? bench.bundle : fake.dir;
	request.terminal = bench.terminal;
	request.stdin = bench.fifos[0];
	request.stdout = bench.fifos[1];
	request.stderr = bench.fifos[2];
	bench_ask(answer, "Create", &request,
	          &containerd__task__v2__create_task_response__descriptor);
}

struct answer bench_create(void)
{
	struct answer answer;

	bench_ask_create(&answer);
	cr_assert(bench_wait_until(&answer.here), "Create is not answered");
	return answer;
}

void bench_ask_start(struct answer *answer, const char *exec_id)
{
	T(StartRequest) request = CONTAINERD__TASK__V2__START_REQUEST__INIT;

	request.id = (char *)bench.id;
	request.exec_id = (char *)exec_id;
	bench_ask(answer, "Start", &request, &containerd__task__v2__start_response__descriptor);
}

struct answer bench_start(const char *exec_id)
{
	struct answer answer;

	bench_ask_start(&answer, exec_id);
	cr_assert(bench_wait_until(&answer.here), "Start is not answered");
	return answer;
}

void bench_ask_wait(struct answer *answer, const char *exec_id)
{
	T(WaitRequest) request = CONTAINERD__TASK__V2__WAIT_REQUEST__INIT;

	request.id = (char *)bench.id;
	request.exec_id = (char *)exec_id;
	bench_ask(answer, "Wait", &request, &containerd__task__v2__wait_response__descriptor);
}

struct answer bench_delete(const char *exec_id)
{
	T(DeleteRequest) request = CONTAINERD__TASK__V2__DELETE_REQUEST__INIT;

	request.id = (char *)bench.id;
	request.exec_id = (char *)exec_id;
	return bench_get("Delete", &request, &containerd__task__v2__delete_response__descriptor);
}

struct answer bench_kill(const char *id, const char *exec_id, uint32_t signal)
{
	T(KillRequest) request = CONTAINERD__TASK__V2__KILL_REQUEST__INIT;

	request.id = (char *)id;
	request.exec_id = (char *)exec_id;
	request.signal = signal;
	return bench_get("Kill", &request, &google__protobuf__empty__descriptor);
}

void bench_ask_kill(struct answer *answer, uint32_t signal)
{
	T(KillRequest) request = CONTAINERD__TASK__V2__KILL_REQUEST__INIT;

	request.id = (char *)bench.id;
	request.signal = signal;
	bench_ask(answer, "Kill", &request, &google__protobuf__empty__descriptor);
}

struct answer bench_kill_all(const char *exec_id, uint32_t signal)
{
	T(KillRequest) request = CONTAINERD__TASK__V2__KILL_REQUEST__INIT;

	request.id = (char *)bench.id;
	request.exec_id = (char *)exec_id;
	request.signal = signal;
	request.all = true;
	return bench_get("Kill", &request, &google__protobuf__empty__descriptor);
}

void bench_ask_delete(struct answer *answer)
{
	T(DeleteRequest) request = CONTAINERD__TASK__V2__DELETE_REQUEST__INIT;

	request.id = (char *)bench.id;
	bench_ask(answer, "Delete", &request, &containerd__task__v2__delete_response__descriptor);
}

void bench_ask_update(struct answer *answer, const char *json)
{
	T(UpdateTaskRequest) request = CONTAINERD__TASK__V2__UPDATE_TASK_REQUEST__INIT;
	Google__Protobuf__Any resources = GOOGLE__PROTOBUF__ANY__INIT;

	resources.value.data = (uint8_t *)json;
	resources.value.len = strlen(json);
	request.id = (char *)bench.id;
	request.resources = &resources;
	bench_ask(answer, "Update", &request, &google__protobuf__empty__descriptor);
}

struct answer bench_update(const char *json)
{
	struct answer answer;

	bench_ask_update(&answer, json);
	cr_assert(bench_wait_until(&answer.here), "Update is not answered");
	return answer;
}

struct answer bench_freeze(const char *method)
{
	T(PauseRequest) request = CONTAINERD__TASK__V2__PAUSE_REQUEST__INIT;

	request.id = (char *)bench.id;
	return bench_get(method, &request, &google__protobuf__empty__descriptor);
}

struct answer bench_stats(void)
{
	T(StatsRequest) request = CONTAINERD__TASK__V2__STATS_REQUEST__INIT;

	request.id = (char *)bench.id;
	return bench_get("Stats", &request, &containerd__task__v2__stats_response__descriptor);
}

struct answer bench_exec(const char *exec_id)
{
	T(ExecProcessRequest) request = CONTAINERD__TASK__V2__EXEC_PROCESS_REQUEST__INIT;
	Google__Protobuf__Any spec = GOOGLE__PROTOBUF__ANY__INIT;

	spec.value.data = (uint8_t *)bench.exec_spec;
	spec.value.len = strlen(bench.exec_spec);
	request.id = (char *)bench.id;
	request.exec_id = (char *)exec_id;
	request.terminal = bench.terminal;
	request.stdin = bench.fifos[0];
	request.stdout = bench.fifos[1];
	request.spec = &spec;
	return bench_get("Exec", &request, &google__protobuf__empty__descriptor);
}

struct answer bench_state(const char *exec_id)
{
	T(StateRequest) request = CONTAINERD__TASK__V2__STATE_REQUEST__INIT;

	request.id = (char *)bench.id;
	request.exec_id = (char *)exec_id;
	return bench_get("State", &request, &containerd__task__v2__state_response__descriptor);
}

void bench_ask_close_io(struct answer *answer, const char *exec_id)
{
	T(CloseIORequest) request = CONTAINERD__TASK__V2__CLOSE_IOREQUEST__INIT;

	request.id = (char *)bench.id;
	request.exec_id = (char *)exec_id;
	request.stdin = true;
	bench_ask(answer, "CloseIO", &request, &google__protobuf__empty__descriptor);
}

struct answer bench_shutdown(void)
{
	T(ShutdownRequest) request = CONTAINERD__TASK__V2__SHUTDOWN_REQUEST__INIT;

	request.id = (char *)bench.id;
	return bench_get("Shutdown", &request, &google__protobuf__empty__descriptor);
}

char *bench_make_fifo(const char *name)
{
	char *path = mem_printf("%s/%s", fake.dir, name);

	cr_assert_eq(mkfifo(path, 0600), 0);
	return path;
}

void bench_setup(void)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	bench = (struct bench){
		.version = "v2",
		.id = "c",
		.fifos = { "", "", "" },
		.exec_spec = EXEC_SPEC,
	};
	log_open(null);
	bench.loop = ev_default_loop(0);
	fake_init(bench.loop);
	pod_bench_init(&bench.pod);
	bench.settings = bench.pod.settings;
	pod_bench_write_config(NULL);
}

int bench_try_serve(struct error *err)
{
	return pod_bench_serve(&bench.pod, bench.loop, on_ending, on_end, NULL, err);
}

void bench_serve(int idle_timeout_ms)
{
	struct error err;
	int fd;

	bench.settings->idle_timeout_ms = idle_timeout_ms;
	cr_assert_eq(bench_try_serve(&err), 0, "%s", err.text);
	fd = pod_bench_connect(0);
	cr_assert_geq(fd, 0);
	bench.client = ttrpc_client_create(bench.loop, fd, NULL, NULL);
}

void bench_teardown(void)
{
	ttrpc_client_destroy(bench.client);
	pod_bench_fini(&bench.pod);
	cr_expect_eq(fake.vms, 0);
	cr_expect_eq(fake.placeholders, 0);
	fake_fini();
	log_open(-1);
}

void bench_expect_refused(struct answer answer, enum error_code code, const char *text)
{
	cr_expect_eq(answer.err.code, code);
	cr_expect_str_eq(answer.err.text, text);
}

void bench_run_container(void)
{
	struct answer answer;

	bench_serve(60000);
	answer = bench_create();
	cr_assert_eq(answer.err.code, ERROR_NONE, "%s", answer.err.text);
	answer = bench_start("");
	cr_assert_eq(answer.err.code, ERROR_NONE, "%s", answer.err.text);
}
