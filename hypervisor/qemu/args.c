#include "hypervisor/qemu/args.h"

#include <stddef.h>

#include "common/arg_list.h"
#include "hypervisor/qemu/device.h"

#define ARGS_BYTES_MAX (16 << 10) /* a path, 2 KiB for the kernel, and room */

static bool can_grow_memory(const struct qemu_args *args)
{
	return args->memory_max_mib > args->memory_mib;
}

static bool can_grow_vcpus(const struct qemu_args *args)
{
	return args->vcpus_max > args->vcpus;
}

/*
 * What a pod does not use is left out: fewer devices start faster. The root bus takes no device
 * while the guest runs; below a root port it is ACPI that tells the guest, which is q35's default:
 * with PCIe's own way a device would take five seconds to come out.
 */
static void machine(struct arg_list *list, const struct qemu_args *args)
{
	arg_list_print(list, "q35,memory-backend=memory,dump-guest-core=off,"
	                     "sata=off,smbus=off,usb=off,smm=off,vmport=off,i8042=off");
	if (args->kvm) /* under TCG it is the timer that lets the guest sleep longest */
		arg_list_print(list, ",hpet=off");
}

static void accel(struct arg_list *list, const struct qemu_args *args)
{
	arg_list_print(list, "%s", args->kvm ? "kvm" : "tcg");
}

static void cpu(struct arg_list *list, const struct qemu_args *args)
{
	/* TCG runs `rep movsb` byte by byte; without ERMS a Linux guest copies 3 times as fast. */
	arg_list_print(list, "%s", args->kvm ? "host" : "max,erms=off");
}

static void smp(struct arg_list *list, const struct qemu_args *args)
{
	arg_list_print(list, "%u", args->vcpus);
	if (can_grow_vcpus(args))
		arg_list_print(list, ",maxcpus=%u", args->vcpus_max);
}

static void memory_size(struct arg_list *list, const struct qemu_args *args)
{
	arg_list_print(list, "%luM", args->memory_mib);
	if (can_grow_memory(args))
		arg_list_print(list, ",maxmem=%luM", args->memory_max_mib);
}

static void memory(struct arg_list *list, const struct qemu_args *args)
{
	arg_list_print(list,
	               "memory-backend-file,id=memory,size=%luM,share=on,mem-path=/proc/self/fd/%d",
	               args->memory_mib, args->memory_fd);
}

static void qmp_socket(struct arg_list *list, const struct qemu_args *args)
{
	arg_list_print(list, "socket,id=qmp,fd=%d,server=off", args->qmp_fd);
}

static void kernel(struct arg_list *list, const struct qemu_args *args)
{
	arg_list_print(list, "/proc/self/fd/%d", args->kernel_fd);
}

static void initramfs(struct arg_list *list, const struct qemu_args *args)
{
	arg_list_print(list, "/proc/self/fd/%d", args->initramfs_fd);
}

static bool under_tcg(const struct qemu_args *args)
{
	return !args->kvm;
}

static bool under_tcg_with_one_cpu(const struct qemu_args *args)
{
	return !args->kvm && args->vcpus == 1 && !can_grow_vcpus(args);
}

/* What the guest's kernel is told. TCG translates each piece of code before it runs it: what the
 * kernel does not do at its start counts there, and costs nothing on hardware. */
/* clang-format off */
static const struct parameter {
	const char *text;
	bool (*wanted)(const struct qemu_args *args); /* NULL: always */
} parameters[] = {
	{ "console=ttyS0", NULL },
	{ "quiet", NULL },
	{ "panic=-1", NULL },          /* with -no-reboot, a panic ends QEMU */
	{ "init_on_alloc=0", NULL },   /* Debian's kernel clears all that it allocates: half of what
	                                  a byte through vsock costs, and memory of the host */
	{ "cryptomgr.notests", NULL }, /* the self-tests of ciphers: 250 ms under TCG */
	{ "lsm=landlock", NULL },      /* no security module that nobody in the guest configures */
	{ "pcie_ports=compat", NULL },   /* no services of PCIe's own for each root port: what eight
	                                    of them cost otherwise */
	{ "swiotlb=noforce", NULL },     /* no memory for devices that reach only 32 bits of it, which
	                                    no virtual one does: 64 MiB, and 80 ms, once there is
	                                    more than 4 GiB, or room for it */
	{ "8250.nr_uarts=1", NULL },   /* no search for serial ports that are not there: 15 ms */
	{ "noreplace-smp", under_tcg },  /* no patching of lock prefixes: 80 ms */
	{ "no_timer_check", under_tcg }, /* 50 ms */
	/* No files of tracefs, and no self-tests of two hashes: 120 ms. */
	{ "initcall_blacklist=trace_eval_init,tracer_init_tracefs,crypto_kdf108_init,"
	  "blake2s_mod_init",
	  under_tcg },
	{ "nolapic_timer", under_tcg_with_one_cpu }, /* no calibration of it: 80 ms; a guest with a
	                                                second CPU would have no precise timer */
};
/* clang-format on */

#define NPARAMETERS (sizeof(parameters) / sizeof(parameters[0]))

static void kernel_command_line(struct arg_list *list, const struct qemu_args *args)
{
	const char *space = "";

	for (size_t i = 0; i < NPARAMETERS; i++) {
		if (parameters[i].wanted && !parameters[i].wanted(args))
			continue;
		arg_list_print(list, "%s%s", space, parameters[i].text);
		space = " ";
	}
	if (!args->kvm && args->tsc_khz) /* nor of the time stamp counter */
		arg_list_print(list, " tsc_early_khz=%u", args->tsc_khz);
	if (args->kernel_params && *args->kernel_params)
		arg_list_print(list, " %s", args->kernel_params);
}

typedef void value_fn(struct arg_list *list, const struct qemu_args *args);

static const struct row {
	const char *option;
	const char *fixed; /* its value, or */
	value_fn *value;   /* what prints it; neither: an option without a value */
} rows[] = {
	{ "-name", "debug-threads=on", NULL }, /* the host finds the threads of vCPUs by name */
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
	{ "-kernel", NULL, kernel },
	{ "-initrd", NULL, initramfs },
	{ "-append", NULL, kernel_command_line },
};

#define NROWS (sizeof(rows) / sizeof(rows[0]))

static void add_row(struct arg_list *list, const struct row *row, const struct qemu_args *args)
{
	arg_list_add(list, row->option);
	if (row->fixed)
		arg_list_add(list, row->fixed);
	if (row->value) {
		row->value(list, args);
		arg_list_end(list);
	}
}

char **qemu_args_build(const struct qemu_args *args)
{
	struct arg_list list = ARG_LIST_INIT(ARGS_BYTES_MAX);

	arg_list_add(&list, args->vmm_path);
	for (size_t i = 0; i < NROWS; i++)
		add_row(&list, &rows[i], args);
	for (int port = 0; port < args->ports; port++)
		device_add_port_args(&list, port);
	for (size_t i = 0; i < args->ndevices; i++)
		device_add_args(&list, args->devices[i].device, args->devices[i].port);
	if (args->reclaims_memory) {
		arg_list_add(&list, "-device");
		arg_list_add(&list, "virtio-balloon-pci,id=balloon,free-page-reporting=on");
	}
	return arg_list_finish(&list);
}
