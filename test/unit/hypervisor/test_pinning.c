#include "hypervisor/qemu/pinning.h"

#include <criterion/criterion.h>
#include <ev.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/mem.h"
#include "hypervisor/qemu/qmp.h"

/* This process is the QEMU, and its thread the vCPU. */

static struct ev_loop *loop;
static struct qmp *qmp;
static struct pinning *pinning;
static int qemu;
static int commands;
static cpu_set_t before;

static void on_ready(void *ctx)
{
}

static void on_event(void *ctx, const char *name, const json_t *data)
{
}

static void on_lost(void *ctx, const struct error *err)
{
}

static const struct qmp_events events = {
	.on_ready = on_ready,
	.on_event = on_event,
	.on_lost = on_lost,
};

static void answer(const char *result)
{
	autofree char *reply = mem_printf("{\"return\": %s, \"id\": %d}\n", result, ++commands);
	char text[1000];

	ev_run(loop, EVRUN_NOWAIT);
	cr_assert_gt(recv(qemu, text, sizeof(text), MSG_DONTWAIT), 0);
	cr_assert_eq(write(qemu, reply, strlen(reply)), (ssize_t)strlen(reply));
	ev_run(loop, EVRUN_NOWAIT);
}

static void setup(void)
{
	int ends[2];

	loop = ev_loop_new(0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	qemu = ends[1];
	qmp = qmp_create(loop, ends[0], 10000, &events, NULL);
	answer("{}");
	pinning = pinning_create();
	pinning_connect(pinning, qmp, getpid());
	cr_assert_eq(sched_getaffinity(0, sizeof(before), &before), 0);
}

static void teardown(void)
{
	qmp_destroy(qmp);
	pinning_destroy(pinning);
	ev_loop_destroy(loop);
	close(qemu);
}

TestSuite(pinning, .init = setup, .fini = teardown);

static int first_cpu(void)
{
	int cpu = 0;

	while (!CPU_ISSET(cpu, &before))
		cpu++;
	return cpu;
}

static void pin(int cpus, const char *vcpus)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (int i = 0; i < cpus; i++)
		CPU_SET(first_cpu() + i, &set);
	pinning_set(pinning, &set);
	answer(vcpus);
}

static cpu_set_t now(void)
{
	cpu_set_t set;

	cr_assert_eq(sched_getaffinity(0, sizeof(set), &set), 0);
	return set;
}

Test(pinning, is_one_to_one_where_the_numbers_match)
{
	autofree char *vcpus = mem_printf("[{\"cpu-index\": 0, \"thread-id\": %d}]", getpid());
	cpu_set_t set;

	pin(1, vcpus);
	set = now();
	cr_expect_eq(CPU_COUNT(&set), 1);
	cr_expect(CPU_ISSET(first_cpu(), &set));
}

Test(pinning, does_nothing_where_they_do_not)
{
	autofree char *vcpus = mem_printf("[{\"cpu-index\": 0, \"thread-id\": %d}]", getpid());
	cpu_set_t set;

	pin(2, vcpus);
	pin(0, vcpus);
	set = now();
	cr_expect(CPU_EQUAL(&set, &before));
}

Test(pinning, touches_no_thread_but_of_this_qemu)
{
	cpu_set_t set;
	pid_t parent = getppid();

	pin(1, "[{\"thread-id\": 1}]");
	pin(1, "[{}]");
	pin(1, "[7]");
	pin(1, "{}");
	set = now();
	cr_expect(CPU_EQUAL(&set, &before));
	cr_assert_eq(sched_getaffinity(parent, sizeof(set), &set), 0);
	cr_expect(CPU_EQUAL(&set, &before));
}
