#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "common/loop/proc.h"
#include "common/mem.h"
#include "hypervisor/console.h"
#include "hypervisor/hint.h"
#include "hypervisor/qemu/accel.h"
#include "hypervisor/qemu/args.h"
#include "hypervisor/qemu/device.h"
#include "hypervisor/qemu/host_cpu.h"
#include "hypervisor/qemu/hotplug.h"
#include "hypervisor/qemu/pinning.h"
#include "hypervisor/qemu/qmp.h"
#include "hypervisor/qemu/resize.h"
#include "hypervisor/vmm.h"

#define KERNEL_PARAMS_MAX  1792 /* of COMMAND_LINE_SIZE (asm/setup.h): 2048; the rest is ours */
#define TAIL_BYTES         400
#define REASON_BYTES       32
#define FDS_BESIDE_DEVICES 6
#define PANIC_MARK         "Kernel panic - not syncing: "

/*
 * A QEMU process. What it is told goes over QMP; that it has ended is seen by its pidfd, and why in
 * the reason of its last SHUTDOWN event, on its console, or in its exit status.
 */
struct qemu {
	struct ev_loop *loop;
	const struct vm_config *config;
	struct vmm_events events;
	void *ctx;
	struct proc *proc; /* NULL: not started */
	pid_t pid;
	struct qmp *qmp;
	struct hotplug *hotplug;
	struct resize *resize;
	struct pinning *pinning;
	struct console *console;
	bool kvm;
	int kernel_fd;
	int initramfs_fd;
	struct tsc_sample created; /* the counter at creation, to compare with at start */
	ev_timer kill_timer;       /* since stop() */
	char reason[REASON_BYTES]; /* of the SHUTDOWN event; "" before */
	struct error fault;        /* of QMP: why QEMU was killed */
	bool running;
};

/* The files that QEMU opens again under its own uid, by /proc/self/fd. */
static int open_image(const char *what, const char *path, uid_t uid, struct error *err)
{
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		error_errno(err, "cannot open the guest's %s \"%s\"", what, path);
		return hint_add(err, HINT_GUEST_IMAGE);
	}
	if (!S_ISREG(st.st_mode)) {
		error_set(err, ERROR_INVALID_ARGUMENT,
		          "cannot open the guest's %s \"%s\": not a regular file", what, path);
		return hint_add(err, HINT_GUEST_IMAGE);
	}
	if (uid && st.st_uid != uid && !(st.st_mode & S_IROTH))
		return error_set(err, ERROR_PERMISSION_DENIED,
		                 "cannot open the guest's %s \"%s\": must be readable for all: "
		                 "QEMU has a user id of its own",
		                 what, path);
	return take_fd(&fd);
}

static void on_running(void *ctx)
{
	struct qemu *qemu = ctx;

	qemu->running = true;
	qemu->events.on_running(qemu->ctx);
}

static void on_event(void *ctx, const char *name, const json_t *data)
{
	struct qemu *qemu = ctx;
	const char *reason = json_string_value(json_object_get(data, "reason"));

	log_debug("qemu event name=\"%.64s\"", name);
	if (!strcmp(name, "SHUTDOWN") && reason)
		snprintf(qemu->reason, sizeof(qemu->reason), "%s", reason);
	hotplug_on_event(qemu->hotplug, name, data);
	resize_on_event(qemu->resize, name, data);
}

/* It does not answer, or answers nonsense: it is killed, unless it is just going by itself. */
static void on_qmp_lost(void *ctx, const struct error *err)
{
	struct qemu *qemu = ctx;

	hotplug_disconnect(qemu->hotplug, err);
	resize_disconnect(qemu->resize, err);
	pinning_connect(qemu->pinning, NULL, 0);
	qmp_destroy(take_ptr(&qemu->qmp));
	if (err->code == ERROR_UNAVAILABLE)
		return;
	error_copy(&qemu->fault, err);
	proc_kill(qemu->proc, SIGKILL);
}

static const struct qmp_events qmp_events = {
	.on_ready = on_running,
	.on_event = on_event,
	.on_lost = on_qmp_lost,
};

/* The text after the mark of a kernel panic in @tail, or NULL. */
static const char *find_panic(char *tail)
{
	char *mark = strstr(tail, PANIC_MARK);
	char *end;

	if (!mark)
		return NULL;
	mark += strlen(PANIC_MARK);
	end = strstr(mark, " | ");
	if (end)
		*end = '\0';
	return mark;
}

static void explain_end(struct qemu *qemu, int status, struct error *err)
{
	char console[CONSOLE_KEPT];
	char how[100];
	const char *panic;

	console_tail(qemu->console, console, sizeof(console));
	panic = find_panic(console);
	proc_describe(status, how, sizeof(how));
	if (qemu->fault.code) {
		error_copy(err, &qemu->fault);
	} else if (panic) {
		error_set(err, ERROR_UNAVAILABLE, "the guest's kernel panicked: %s", panic);
		hint_add(err, HINT_GUEST_ENDED);
	} else if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		error_set(err, ERROR_UNAVAILABLE, "the guest has ended%s%s",
		          *qemu->reason ? " by itself: " : "", qemu->reason);
		hint_add(err, HINT_GUEST_ENDED);
	} else if (WIFEXITED(status)) {
		console_tail(qemu->console, console, TAIL_BYTES);
		error_set(err, ERROR_UNAVAILABLE, "QEMU %s: %s", how, console);
		hint_add(err, HINT_QEMU_REFUSED);
	} else {
		error_set(err, ERROR_UNAVAILABLE, "QEMU %s", how);
		hint_add_to_end(err, status);
	}
}

/* Its last act is on_ended, which may free the qemu. */
static void on_process_exit(void *ctx, int status)
{
	struct qemu *qemu = ctx;
	struct error err;

	console_drain(qemu->console);
	ev_timer_stop(qemu->loop, &qemu->kill_timer);
	explain_end(qemu, status, &err);
	hotplug_disconnect(qemu->hotplug, &err);
	resize_disconnect(qemu->resize, &err);
	qemu->events.on_ended(qemu->ctx, status, &err);
}

static void on_kill_timer(struct ev_loop *loop, ev_timer *watcher, int events)
{
	struct qemu *qemu = watcher->data;

	log_warn("QEMU did not quit in time: killed pid=%d", proc_pid(qemu->proc));
	proc_kill(qemu->proc, SIGKILL);
}

/* What QEMU inherits, each under its own number but the console. */
static size_t list_fds(const struct qemu_args *args, int output_fd, struct proc_fd *fds)
{
	const int own[] = { args->memory_fd, args->kernel_fd, args->initramfs_fd, args->qmp_fd };
	size_t n = 0;

	fds[n++] = (struct proc_fd){ .fd = output_fd, .as = 1 };
	fds[n++] = (struct proc_fd){ .fd = output_fd, .as = 2 };
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		fds[n++] = (struct proc_fd){ .fd = own[i], .as = -1 };
	for (size_t i = 0; i < args->ndevices; i++) {
		const struct vm_device *device = args->devices[i].device;

		for (size_t j = 0; j < vm_device_count_fds(device); j++)
			fds[n++] = (struct proc_fd){ .fd = vm_device_fd(device, j), .as = -1 };
	}
	return n;
}

static int spawn(struct qemu *qemu, const struct qemu_args *args, int output_fd, struct error *err)
{
	autofree char **argv = qemu_args_build(args);
	autofree struct proc_fd *fds =
		mem_alloc((FDS_BESIDE_DEVICES + args->ndevices * VM_DEVICE_FDS_MAX) * sizeof(*fds));
	const struct proc_spec spec = {
		.argv = (const char *const *)argv,
		.fds = fds,
		.nfds = list_fds(args, output_fd, fds),
		.uid = qemu->config->uid,
		.gid = qemu->config->gid,
		.oom_score_adj = qemu->config->oom_score_adj,
		.no_network = qemu->config->uid != 0, /* unprivileged, it could not leave it */
		.no_shared_core = true,
		.no_new_privs = true,
	};

	if (!argv)
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "its path and the guest's kernel parameters are too long");
	return hint_add_to_spawn(
		err, HINT_QEMU_PROGRAM,
		proc_spawn(qemu->loop, &spec, on_process_exit, qemu, &qemu->proc, err));
}

static unsigned int measured_tsc_khz(const struct qemu *qemu)
{
	struct tsc_sample now;

	tsc_sample(&now);
	return tsc_khz(&qemu->created, &now);
}

/* A share and a vsock are there for the machine's life; all others may be pulled out. */
static int place_devices(struct qemu *qemu, const struct vmm_inputs *inputs,
                         struct qemu_device *devices, struct error *err)
{
	for (size_t i = 0; i < inputs->ndevices; i++) {
		const struct vm_device *device = &inputs->devices[i];
		bool stays = device->kind == VM_DEVICE_SHARE || device->kind == VM_DEVICE_VSOCK;
		int port = stays ? DEVICE_NO_PORT : hotplug_assign(qemu->hotplug, device, err);

		if (port < 0 && !stays)
			return error_wrap(err, "cannot add \"%s\"", device->id);
		devices[i] = (struct qemu_device){ .device = device, .port = port };
	}
	return 0;
}

static int make_qmp(struct qemu *qemu, int *qemu_fd, struct error *err)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return error_errno(err, "cannot make a socket for QMP");
	*qemu_fd = ends[1];
	qemu->qmp = qmp_create(qemu->loop, ends[0], qemu->config->handshake_timeout_ms, &qmp_events,
	                       qemu);
	hotplug_connect(qemu->hotplug, qemu->qmp);
	resize_connect(qemu->resize, qemu->qmp);
	return 0;
}

static unsigned int qemu_vcpus_max(const void *vmm)
{
	const struct qemu *qemu = vmm;

	return qemu->config->vcpus_stay && !qemu->kvm ? qemu->config->vcpus
	                                              : qemu->config->vcpus_max;
}

static int qemu_start(void *vmm, const struct vmm_inputs *inputs, struct error *err)
{
	struct qemu *qemu = vmm;
	const struct vm_config *config = qemu->config;
	autofree struct qemu_device *devices = mem_alloc(inputs->ndevices * sizeof(*devices));
	autoclose int output_fd = -1;
	autoclose int qmp_fd = -1;
	struct qemu_args args;
	int r;

	r = console_create(qemu->loop, "console", &qemu->console, &output_fd, err);
	if (r == 0)
		r = make_qmp(qemu, &qmp_fd, err);
	if (r == 0)
		r = place_devices(qemu, inputs, devices, err);
	if (r < 0)
		return r;
	args = (struct qemu_args){
		.vmm_path = config->vmm_path,
		.kvm = qemu->kvm,
		.memory_mib = config->memory_mib,
		.memory_max_mib = config->memory_max_mib,
		.vcpus = config->vcpus,
		.vcpus_max = qemu_vcpus_max(qemu),
		.reclaims_memory = config->reclaims_memory,
		.tsc_khz = measured_tsc_khz(qemu),
		.kernel_params = config->kernel_params,
		.ports = config->ports,
		.devices = devices,
		.ndevices = inputs->ndevices,
		.memory_fd = inputs->memory_fd,
		.kernel_fd = qemu->kernel_fd,
		.initramfs_fd = qemu->initramfs_fd,
		.qmp_fd = qmp_fd,
	};
	r = spawn(qemu, &args, output_fd, err);
	if (r < 0)
		return error_wrap(err, "cannot start QEMU");
	qemu->pid = proc_pid(qemu->proc);
	pinning_connect(qemu->pinning, qemu->qmp, qemu->pid);
	close(take_fd(&qemu->kernel_fd));
	close(take_fd(&qemu->initramfs_fd));
	return 0;
}

static int qemu_plug(void *vmm, const struct vm_device *device, int timeout_ms, done_fn *done,
                     void *ctx, struct error *err)
{
	struct qemu *qemu = vmm;

	return hotplug_plug(qemu->hotplug, device, timeout_ms, done, ctx, err);
}

static int qemu_resize_disk(void *vmm, const char *id, uint64_t bytes, struct error *err)
{
	struct qemu *qemu = vmm;

	return hotplug_resize_disk(qemu->hotplug, id, bytes, err);
}

static int qemu_unplug(void *vmm, const char *id, int timeout_ms, done_fn *done, void *ctx,
                       struct error *err)
{
	struct qemu *qemu = vmm;

	return hotplug_unplug(qemu->hotplug, id, timeout_ms, done, ctx, err);
}

static int qemu_device_path(const void *vmm, const char *id, char path[VM_DEVICE_PATH_MAX],
                            struct error *err)
{
	const struct qemu *qemu = vmm;
	int port = hotplug_find(qemu->hotplug, id, err);

	if (port < 0)
		return port;
	device_port_path(port, path);
	return 0;
}

static unsigned int qemu_free_ports(const void *vmm)
{
	const struct qemu *qemu = vmm;

	return hotplug_free_ports(qemu->hotplug);
}

static int qemu_resize_memory(void *vmm, const char *id, uint64_t mib, int timeout_ms,
                              done_fn *done, void *ctx, struct error *err)
{
	struct qemu *qemu = vmm;

	return resize_memory(qemu->resize, id, mib, timeout_ms, done, ctx, err);
}

static int qemu_resize_vcpus(void *vmm, unsigned int count, int timeout_ms, done_fn *done,
                             void *ctx, struct error *err)
{
	struct qemu *qemu = vmm;

	return resize_vcpus(qemu->resize, count, timeout_ms, done, ctx, err);
}

static void qemu_pin(void *vmm, const cpu_set_t *cpus)
{
	struct qemu *qemu = vmm;

	pinning_set(qemu->pinning, cpus);
}

/* QEMU 7.2 ends in a "double free" when TCG gets a vCPU again that it has had before. */
static bool qemu_vcpus_leave(const void *vmm)
{
	const struct qemu *qemu = vmm;

	return qemu->kvm;
}

static void qemu_resize_hurry(void *vmm)
{
	struct qemu *qemu = vmm;

	resize_hurry(qemu->resize);
}

static unsigned int qemu_vcpus(const void *vmm)
{
	const struct qemu *qemu = vmm;

	return resize_vcpus_there(qemu->resize);
}

static uint64_t qemu_memory_plugged(const void *vmm)
{
	const struct qemu *qemu = vmm;

	return resize_memory_given(qemu->resize);
}

static void on_quit_reply(void *ctx, const json_t *result, const struct error *err)
{
	if (err)
		log_debug("qmp quit error=\"%s\"", err->text);
}

static void qemu_stop(void *vmm, int timeout_ms)
{
	struct qemu *qemu = vmm;
	bool asked =
		qemu->running && qemu->qmp &&
		qmp_execute(qemu->qmp, "quit", NULL, timeout_ms, on_quit_reply, NULL, NULL) == 0;

	if (!asked) {
		proc_kill(qemu->proc, SIGKILL);
		return;
	}
	ev_timer_set(&qemu->kill_timer, timeout_ms / 1e3, 0);
	ev_timer_start(qemu->loop, &qemu->kill_timer);
}

static void qemu_kill(void *vmm)
{
	struct qemu *qemu = vmm;

	ev_timer_stop(qemu->loop, &qemu->kill_timer);
	hotplug_connect(qemu->hotplug, NULL);
	resize_connect(qemu->resize, NULL);
	pinning_connect(qemu->pinning, NULL, 0);
	qmp_destroy(take_ptr(&qemu->qmp));
	proc_kill(qemu->proc, SIGKILL);
}

static void qemu_destroy(void *vmm)
{
	struct qemu *qemu = vmm;

	if (!qemu)
		return;
	ev_timer_stop(qemu->loop, &qemu->kill_timer);
	qmp_destroy(qemu->qmp);
	proc_destroy(qemu->proc);
	hotplug_destroy(qemu->hotplug);
	resize_destroy(qemu->resize);
	pinning_destroy(qemu->pinning);
	console_destroy(qemu->console);
	cleanup_close(&qemu->kernel_fd);
	cleanup_close(&qemu->initramfs_fd);
	free(qemu);
}

/* The kernel drops what is too long without a word. */
static int check_kernel_params(const char *params, struct error *err)
{
	if (params && strlen(params) > KERNEL_PARAMS_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "the guest's kernel parameters are longer than %d bytes",
		                 KERNEL_PARAMS_MAX);
	return 0;
}

static int choose_accel(struct qemu *qemu, struct error *err)
{
	const struct vm_config *config = qemu->config;
	const char *dir = config->own_mounts ? config->run_dir : NULL;
	struct error obstacle;
	bool usable;

	usable = config->accel != VM_ACCEL_TCG &&
	         accel_probe_kvm(dir, config->uid, config->gid, &obstacle) == 0;
	return accel_choose(config->accel, usable ? NULL : &obstacle, &qemu->kvm, err);
}

static int qemu_create(struct ev_loop *loop, const struct vm_config *config,
                       const struct vmm_events *events, void *ctx, void **out, struct error *err)
{
	struct qemu *qemu = mem_new(struct qemu);
	int r;

	tsc_sample(&qemu->created);
	qemu->loop = loop;
	qemu->config = config;
	qemu->events = *events;
	qemu->ctx = ctx;
	qemu->kernel_fd = -1;
	qemu->initramfs_fd = -1;
	qemu->hotplug = hotplug_create(loop, config->ports);
	qemu->resize = resize_create(loop);
	qemu->pinning = pinning_create();
	ev_timer_init(&qemu->kill_timer, on_kill_timer, 0, 0);
	qemu->kill_timer.data = qemu;
	r = check_kernel_params(config->kernel_params, err);
	if (r >= 0)
		r = qemu->kernel_fd = open_image("kernel", config->kernel, config->uid, err);
	if (r >= 0)
		r = qemu->initramfs_fd =
			open_image("initramfs", config->initramfs, config->uid, err);
	if (r >= 0)
		r = choose_accel(qemu, err);
	if (r < 0) {
		qemu_destroy(qemu);
		return r;
	}
	*out = qemu;
	return 0;
}

static pid_t qemu_pid(const void *vmm)
{
	const struct qemu *qemu = vmm;

	return qemu->pid;
}

static void qemu_console_tail(const void *vmm, char *text, size_t size)
{
	const struct qemu *qemu = vmm;

	console_tail(qemu->console, text, size);
}

const struct vmm vmm_qemu = {
	.name = "qemu",
	.caps = { .plugs = 1U << VM_DEVICE_SHARE | 1U << VM_DEVICE_VSOCK | 1U << VM_DEVICE_NIC |
	                   1U << VM_DEVICE_DISK | 1U << VM_DEVICE_MEMORY,
	          .memory = true,
	          .vcpus = true },
	.create = qemu_create,
	.start = qemu_start,
	.plug = qemu_plug,
	.unplug = qemu_unplug,
	.resize_disk = qemu_resize_disk,
	.device_path = qemu_device_path,
	.free_ports = qemu_free_ports,
	.vcpus_max = qemu_vcpus_max,
	.resize_memory = qemu_resize_memory,
	.resize_vcpus = qemu_resize_vcpus,
	.pin = qemu_pin,
	.vcpus_leave = qemu_vcpus_leave,
	.resize_hurry = qemu_resize_hurry,
	.vcpus = qemu_vcpus,
	.memory_plugged = qemu_memory_plugged,
	.stop = qemu_stop,
	.kill = qemu_kill,
	.destroy = qemu_destroy,
	.pid = qemu_pid,
	.console_tail = qemu_console_tail,
};
