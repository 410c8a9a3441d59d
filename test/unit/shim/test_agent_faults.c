/*
 * An agent that answers nonsense, late, twice or never, at each of its calls: whatever it does,
 * each of containerd's calls is answered once, the affected one with the error that says so, and
 * the pod can be killed and deleted.
 */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <string.h>

#include "fake_guest.h"
#include "service_bench.h"
#include "shim/config/config.h"

#define SHORT_MS 100 /* less than LIAR_LATE_MS */
#define KILL_MS  300
#define LONG_MS  20000
#define LOST_MS  50 /* the machine of an agent that is lost lives on here */

/* How the affected call ends. */
static const struct fault {
	const char *name;
	bool meets_deadline;
	enum error_code code;
} faults[LIAR_FAULTS] = {
	[LIAR_NONE] = { "none", false, ERROR_NONE },
	[LIAR_NEVER] = { "never", true, ERROR_DEADLINE_EXCEEDED },
	[LIAR_LATE] = { "late", true, ERROR_DEADLINE_EXCEEDED },
	[LIAR_TWICE] = { "twice", false, ERROR_NONE },
	[LIAR_STRANGER] = { "to no call", true, ERROR_DEADLINE_EXCEEDED },
	[LIAR_UNASKED] = { "to no call, too", false, ERROR_NONE },
	[LIAR_NO_RESPONSE] = { "no response", false, ERROR_INTERNAL },
	[LIAR_NO_MESSAGE] = { "no message", false, ERROR_INTERNAL },
	[LIAR_ODD_STATUS] = { "odd status", false, ERROR_UNKNOWN },
	[LIAR_REQUEST] = { "a request", false, ERROR_INTERNAL },
	[LIAR_ODD_TYPE] = { "odd type", false, ERROR_UNAVAILABLE },
	[LIAR_CUT_OFF] = { "cut off", false, ERROR_UNAVAILABLE },
	[LIAR_TOO_LONG] = { "too long", false, ERROR_UNAVAILABLE },
	[LIAR_LONG_TEXT] = { "long text", false, ERROR_INTERNAL },
};

/* The agent's calls, in the order of a life. */
static const char *const methods[] = {
	"CreateSandbox", "GetOOMEvent",     "CreateContainer", "WaitProcess",    "StartContainer",
	"ExecProcess",   "StatsContainer",  "UpdateContainer", "PauseContainer", "ResumeContainer",
	"SignalProcess", "RemoveContainer", "DestroySandbox",
};
#define METHODS (sizeof(methods) / sizeof(methods[0]))

static const struct fault *fault;

static void set_deadlines(int ms)
{
	bench.settings->agent_timeout_ms = ms;
	bench.settings->create_timeout_ms = ms;
}

/* Before the call that asks @method of the agent. */
static void before(const char *method)
{
	if (fault->meets_deadline && strcmp(method, fake.lies_at) == 0)
		set_deadlines(SHORT_MS);
}

/* After it: it ended as the fault says, if it is the one; true if it has succeeded. */
static bool after(const char *method, struct answer answer)
{
	set_deadlines(LONG_MS);
	if (strcmp(method, fake.lies_at) == 0)
		cr_expect_eq(answer.err.code, fault->code, "%s: %d: %s", method, answer.err.code,
		             answer.err.text);
	if (answer.err.code)
		cr_expect(*answer.err.text && strlen(answer.err.text) < ERROR_TEXT_MAX);
	return answer.err.code == ERROR_NONE;
}

static struct answer update(void)
{
	return bench_update("{}");
}

static struct answer pause_(void)
{
	return bench_freeze("Pause");
}

static struct answer resume(void)
{
	return bench_freeze("Resume");
}

static struct answer start_exec(void)
{
	bench_exec("e");
	return bench_start("e");
}

static struct answer start_init(void)
{
	return bench_start("");
}

static struct answer terminate(void)
{
	return bench_kill("c", "", 15);
}

static const struct call {
	const char *method;
	struct answer (*run)(void);
} calls[] = {
	{ "StartContainer", start_init },  { "ExecProcess", start_exec },
	{ "StatsContainer", bench_stats }, { "UpdateContainer", update },
	{ "PauseContainer", pause_ },      { "ResumeContainer", resume },
	{ "SignalProcess", terminate },
};

static bool make(void)
{
	bool in_boot = strcmp(fake.lies_at, "CreateSandbox") == 0;
	struct answer answer;

	before("CreateSandbox");
	bench_serve(60000);
	if (!in_boot)
		before("CreateContainer");
	answer = bench_create();
	return after(in_boot ? "CreateSandbox" : "CreateContainer", answer);
}

/* From SIGKILL to its end; what was never started Delete kills by itself. */
static void end(void)
{
	struct answer exited, killed;

	bench_ask_wait(&exited, "");
	killed = bench_kill("c", "", 9);
	cr_expect(killed.err.code == ERROR_NONE || killed.err.code == ERROR_NOT_FOUND ||
	                  strcmp(fake.lies_at, "SignalProcess") == 0 ||
	                  fault->code == ERROR_UNAVAILABLE,
	          "%s", killed.err.text);
	cr_assert(bench_wait_until(&exited.here), "no exit");
	cr_expect(exited.status == 137 || exited.status == 255, "%u", exited.status);
	before("RemoveContainer");
	cr_expect_eq(bench_delete("").err.code, ERROR_NONE);
	set_deadlines(LONG_MS);
}

static struct criterion_test_params all(void)
{
	static size_t n[METHODS * LIAR_FAULTS];

	for (size_t i = 0; i < METHODS * LIAR_FAULTS; i++)
		n[i] = i;
	return cr_make_param_array(size_t, n, METHODS * LIAR_FAULTS);
}

ParameterizedTestParameters(agent_faults, every_call_is_answered_and_the_pod_ends)
{
	return all();
}

ParameterizedTest(const size_t *n, agent_faults, every_call_is_answered_and_the_pod_ends,
                  .init = bench_setup, .fini = bench_teardown, .timeout = 120)
{
	fake.lies_at = methods[*n / LIAR_FAULTS];
	fake.lie = *n % LIAR_FAULTS;
	fault = &faults[fake.lie];
	set_deadlines(LONG_MS);
	bench.settings->kill_timeout_ms = KILL_MS;
	bench.settings->agent_stop_timeout_ms = SHORT_MS;
	bench.settings->agent_lost_timeout_ms = LOST_MS;
	if (make()) {
		for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
			before(calls[i].method);
			after(calls[i].method, calls[i].run());
		}
		end();
	}
	bench_shutdown();
	cr_expect(bench_wait_until(&bench.ended), "%s, answered %s: the pod does not end",
	          fake.lies_at, fault->name);
	cr_expect_eq(fake.vms, 0);
	cr_expect_eq(fake.mounts, 0);
}
