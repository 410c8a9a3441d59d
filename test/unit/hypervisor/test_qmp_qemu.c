#include <criterion/criterion.h>
#include <ev.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/loop/proc.h"
#include "common/mem.h"
#include "hypervisor/qemu/qmp.h"

/* The QMP client beside the real QEMU, with an empty machine. */

#define QEMU       "/usr/bin/qemu-system-x86_64"
#define TIMEOUT_MS 60000

static struct {
	struct ev_loop *loop;
	struct qmp *qmp;
	struct proc *proc;
	int ready;
	int lost;
	char status[32];
	struct error refusal;
	char events[100];
	int exit_status;
} test;

static void on_status(void *ctx, const json_t *result, const struct error *err)
{
	const char *status = json_string_value(json_object_get(result, "status"));

	cr_assert_null(err);
	snprintf(test.status, sizeof(test.status), "%s", status ? status : "none");
}

static void on_refusal(void *ctx, const json_t *result, const struct error *err)
{
	cr_assert_null(result);
	error_copy(&test.refusal, err);
	cr_assert_eq(qmp_execute(test.qmp, "quit", NULL, TIMEOUT_MS, on_status, NULL, NULL), 0);
}

static void on_ready(void *ctx)
{
	test.ready++;
}

static void on_event(void *ctx, const char *name, const json_t *data)
{
	size_t len = strlen(test.events);

	snprintf(test.events + len, sizeof(test.events) - len, "%s ", name);
}

static void on_lost(void *ctx, const struct error *err)
{
	test.lost++;
	cr_assert_eq(err->code, ERROR_UNAVAILABLE, "%s", err->text);
}

static const struct qmp_events events = {
	.on_ready = on_ready,
	.on_event = on_event,
	.on_lost = on_lost,
};

static void on_exit_of_qemu(void *ctx, int status)
{
	test.exit_status = status;
}

static void spawn_qemu(int qmp_fd)
{
	autofree char *chardev = mem_printf("socket,id=qmp,fd=%d,server=off", qmp_fd);
	const struct proc_spec spec = {
		.argv = (const char *const[]){ QEMU, "-M", "none", "-nodefaults", "-display",
		                               "none", "-chardev", chardev, "-mon",
		                               "chardev=qmp,mode=control", NULL },
		.fds = (struct proc_fd[]){ { .fd = qmp_fd, .as = -1 }, { .fd = 2, .as = 2 } },
		.nfds = 2,
	};
	struct error err;

	cr_assert_eq(proc_spawn(test.loop, &spec, on_exit_of_qemu, NULL, &test.proc, &err), 0, "%s",
	             err.text);
	close(qmp_fd);
}

Test(qmp_qemu, understands_the_real_one)
{
	int ends[2];

	test.loop = ev_loop_new(0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	test.qmp = qmp_create(test.loop, ends[0], TIMEOUT_MS, &events, NULL);
	/* Sent before QEMU runs, and before the first is answered. */
	cr_assert_eq(qmp_execute(test.qmp, "query-status", NULL, TIMEOUT_MS, on_status, NULL, NULL),
	             0);
	cr_assert_eq(qmp_execute(test.qmp, "device_del", json_pack("{s:s}", "id", "none"),
	                         TIMEOUT_MS, on_refusal, NULL, NULL),
	             0);
	spawn_qemu(ends[1]);
	ev_run(test.loop, 0);
	cr_assert_eq(test.ready, 1);
	cr_assert_eq(test.lost, 1);
	cr_assert_not_null(strstr(test.refusal.text, "'none' not found"), "%s", test.refusal.text);
	cr_assert_str_eq(test.events, "SHUTDOWN ");
	cr_assert_eq(test.exit_status, 0);
	qmp_destroy(test.qmp);
	proc_destroy(test.proc);
	ev_loop_destroy(test.loop);
}
