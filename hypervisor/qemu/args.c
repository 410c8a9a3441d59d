#include "hypervisor/qemu/args.h"

#include <assert.h>
#include <string.h>

#include "common/buf.h"
#include "common/mem.h"

#define ARGS_BYTES_MAX (256 << 10) /* the kernel takes 2 KiB of parameters, execve(2) far more */
#define MEMORY_SLOTS   8

static bool can_grow_memory(const struct qemu_args *args)
{
	return args->memory_max_mib > args->memory_mib;
}

static bool can_grow_vcpus(const struct qemu_args *args)
{
	return args->vcpus_max > args->vcpus;
}

/*
 * What a pod does not use is left out: fewer devices start faster. The ACPI hot-plug that pods do
 * use is q35's default.
 */
static void machine(struct buf *text, const struct qemu_args *args)
{
	buf_printf(text, "q35,sata=off,smbus=off,usb=off,smm=off,vmport=off,dump-guest-core=off,"
	                 "memory-backend=memory");
}

static void accel(struct buf *text, const struct qemu_args *args)
{
	buf_printf(text, "%s", args->kvm ? "kvm" : "tcg");
}

static void cpu(struct buf *text, const struct qemu_args *args)
{
	/* TCG runs `rep movsb` byte by byte; without ERMS a Linux guest copies 3 times as fast. */
	buf_printf(text, "%s", args->kvm ? "host" : "max,erms=off");
}

static void smp(struct buf *text, const struct qemu_args *args)
{
	buf_printf(text, "%u", args->vcpus);
	if (can_grow_vcpus(args))
		buf_printf(text, ",maxcpus=%u", args->vcpus_max);
}

static void memory_size(struct buf *text, const struct qemu_args *args)
{
	buf_printf(text, "%luM", args->memory_mib);
	if (can_grow_memory(args))
		buf_printf(text, ",slots=%d,maxmem=%luM", MEMORY_SLOTS, args->memory_max_mib);
}

static void memory(struct buf *text, const struct qemu_args *args)
{
	buf_printf(text,
	           "memory-backend-file,id=memory,size=%luM,share=on,mem-path=/proc/self/fd/%d",
	           args->memory_mib, args->memory_fd);
}

static void qmp_socket(struct buf *text, const struct qemu_args *args)
{
	buf_printf(text, "socket,id=qmp,fd=%d,server=off", args->qmp_fd);
}

static void share_socket(struct buf *text, const struct qemu_args *args)
{
	buf_printf(text, "socket,id=share,fd=%d", args->share_fd);
}

static void vsock_socket(struct buf *text, const struct qemu_args *args)
{
	buf_printf(text, "socket,id=vsock,fd=%d", args->vsock_fd);
}

static void kernel(struct buf *text, const struct qemu_args *args)
{
	buf_printf(text, "/proc/self/fd/%d", args->kernel_fd);
}

static void initramfs(struct buf *text, const struct qemu_args *args)
{
	buf_printf(text, "/proc/self/fd/%d", args->initramfs_fd);
}

/*
 * panic=-1 with -no-reboot makes a guest panic end QEMU. The self-tests of the kernel's ciphers
 * take 250 ms under TCG; of the security modules those that nobody in the guest configures only
 * cost time. The others cost nothing on hardware and save 400 ms there: no patching of
 * lock prefixes, no calibration of timers against each other. nolapic_timer needs a guest that
 * never sees a second CPU: it would have no high-resolution timer.
 */
static void kernel_command_line(struct buf *text, const struct qemu_args *args)
{
	buf_printf(text, "console=ttyS0 quiet panic=-1 cryptomgr.notests lsm=landlock");
	if (!args->kvm) {
		buf_printf(text, " noreplace-smp no_timer_check");
		if (args->tsc_khz)
			buf_printf(text, " tsc_early_khz=%u", args->tsc_khz);
		if (args->vcpus == 1 && !can_grow_vcpus(args))
			buf_printf(text, " nolapic_timer");
	}
	if (args->kernel_params && *args->kernel_params)
		buf_printf(text, " %s", args->kernel_params);
}

typedef void value_fn(struct buf *text, const struct qemu_args *args);

static const struct row {
	const char *option;
	const char *fixed; /* its value, or */
	value_fn *value;   /* what prints it; neither: an option without a value */
} rows[] = {
	{ "-nodefaults", NULL, NULL },
	{ "-no-user-config", NULL, NULL },
	{ "-no-reboot", NULL, NULL },
	{ "-display", "none", NULL },
	{ "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
	  NULL },
	{ "-machine", NULL, machine },
	{ "-accel", NULL, accel },
	{ "-cpu", NULL, cpu },
	{ "-smp", NULL, smp },
	{ "-m", NULL, memory_size },
	{ "-object", NULL, memory },
	{ "-bios", "qboot.rom", NULL },
	{ "-chardev", NULL, qmp_socket },
	{ "-mon", "chardev=qmp,mode=control", NULL },
	{ "-chardev", "stdio,id=console,signal=off", NULL },
	{ "-serial", "chardev:console", NULL },
	{ "-chardev", NULL, share_socket },
	{ "-device", "vhost-user-fs-pci,chardev=share,tag=kataShared", NULL },
	{ "-chardev", NULL, vsock_socket },
	{ "-device", "vhost-user-vsock-pci,chardev=vsock", NULL },
	{ "-kernel", NULL, kernel },
	{ "-initrd", NULL, initramfs },
	{ "-append", NULL, kernel_command_line },
};

#define NROWS (sizeof(rows) / sizeof(rows[0]))

static void append_text(struct buf *texts, const char *text)
{
	if (buf_append(texts, text, strlen(text) + 1) < 0)
		abort();
}

/* All texts one after the other, each with its NUL; returns their number. */
static size_t print_rows(struct buf *texts, const struct qemu_args *args)
{
	size_t n = 1;

	append_text(texts, args->vmm_path);
	for (size_t i = 0; i < NROWS; i++) {
		append_text(texts, rows[i].option);
		n++;
		if (rows[i].fixed)
			append_text(texts, rows[i].fixed);
		if (rows[i].value) {
			rows[i].value(texts, args);
			append_text(texts, "");
		}
		if (rows[i].fixed || rows[i].value)
			n++;
	}
	return n;
}

char **qemu_args_build(const struct qemu_args *args)
{
	struct buf texts = BUF_INIT(ARGS_BYTES_MAX);
	size_t n = print_rows(&texts, args);
	size_t pointers = (n + 1) * sizeof(char *);
	char **argv = mem_alloc(pointers + texts.len);
	char *text = (char *)argv + pointers;

	memcpy(text, buf_data(&texts), texts.len);
	for (size_t i = 0; i < n; i++) {
		argv[i] = text;
		text += strlen(text) + 1;
	}
	buf_fini(&texts);
	return argv;
}
