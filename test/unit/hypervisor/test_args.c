#include "hypervisor/qemu/args.h"

#include <criterion/criterion.h>

#include "common/mem.h"
#include "hypervisor/qemu/device.h"

#define ALWAYS                                                                                     \
	"console=ttyS0 quiet panic=-1 init_on_alloc=0 cryptomgr.notests lsm=landlock "             \
	"pcie_ports=compat swiotlb=noforce 8250.nr_uarts=1"
#define UNDER_TCG                                                                                  \
	" noreplace-smp no_timer_check "                                                           \
	"initcall_blacklist=trace_eval_init,tracer_init_tracefs,crypto_kdf108_init,"               \
	"blake2s_mod_init"

static const char share_device[] =
	"{\"driver\":\"vhost-user-fs-pci\",\"id\":\"share\",\"chardev\":\"share\","
	"\"tag\":\"kataShared\",\"queue-size\":1024}";

static const struct vm_device share = {
	.kind = VM_DEVICE_SHARE, .id = "share", .fd = 14, .tag = "kataShared"
};
static const struct vm_device vsock = { .kind = VM_DEVICE_VSOCK, .id = "vsock", .fd = 15 };

static const struct qemu_device devices[] = {
	{ &share, DEVICE_NO_PORT },
	{ &vsock, DEVICE_NO_PORT },
};

static const struct qemu_args usual = {
	.vmm_path = "/usr/bin/qemu-system-x86_64",
	.memory_mib = 2048,
	.memory_max_mib = 2048,
	.vcpus = 1,
	.vcpus_max = 1,
	.tsc_khz = 2600186,
	.memory_fd = 10,
	.kernel_fd = 11,
	.initramfs_fd = 12,
	.qmp_fd = 13,
	.ports = 2,
	.devices = devices,
	.ndevices = sizeof(devices) / sizeof(devices[0]),
};

/* The value after the @nth (from 0) @option, or NULL. */
static const char *value_of(char **argv, const char *option, int nth)
{
	for (char **arg = argv; *arg; arg++)
		if (!strcmp(*arg, option) && nth-- == 0)
			return arg[1];
	return NULL;
}

Test(args, are_exactly_these_under_tcg)
{
	static const char machine[] = "q35,memory-backend=memory,dump-guest-core=off,"
				      "sata=off,smbus=off,usb=off,smm=off,vmport=off,i8042=off";
	static const char command_line[] = ALWAYS UNDER_TCG " nolapic_timer tsc_early_khz=2600186";
	const char *const expected[] = {
		"/usr/bin/qemu-system-x86_64",
		"-name",
		"debug-threads=on",
		"-nodefaults",
		"-no-user-config",
		"-no-reboot",
		"-display",
		"none",
		"-sandbox",
		"on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
		"-machine",
		machine,
		"-accel",
		"tcg",
		"-cpu",
		"max,erms=off",
		"-smp",
		"1",
		"-m",
		"2048M",
		"-object",
		"memory-backend-file,id=memory,size=2048M,share=on,mem-path=/proc/self/fd/10",
		"-bios",
		"qboot.rom",
		"-chardev",
		"socket,id=qmp,fd=13,server=off",
		"-mon",
		"chardev=qmp,mode=control",
		"-chardev",
		"stdio,id=console,signal=off",
		"-serial",
		"chardev:console",
		"-kernel",
		"/proc/self/fd/11",
		"-initrd",
		"/proc/self/fd/12",
		"-append",
		command_line,
		"-device",
		"pcie-root-port,id=port0,chassis=1,slot=1,addr=0x1",
		"-device",
		"pcie-root-port,id=port1,chassis=2,slot=2,addr=0x2",
		"-chardev",
		"socket,id=share,fd=14",
		"-device",
		share_device,
		"-chardev",
		"socket,id=vsock,fd=15",
		"-device",
		"{\"driver\":\"vhost-user-vsock-pci\",\"id\":\"vsock\",\"chardev\":\"vsock\"}",
	};
	size_t n = sizeof(expected) / sizeof(expected[0]);
	autofree char **argv = qemu_args_build(&usual);

	for (size_t i = 0; i < n; i++)
		cr_assert_str_eq(argv[i], expected[i], "argument %zu is '%s', not '%s'", i, argv[i],
		                 expected[i]);
	cr_assert_null(argv[n]);
}

Test(args, under_kvm_pass_the_cpu_through_and_no_advice_to_translated_code)
{
	struct qemu_args args = usual;
	autofree char **argv = NULL;

	args.kvm = true;
	argv = qemu_args_build(&args);
	cr_assert_str_eq(value_of(argv, "-accel", 0), "kvm");
	cr_assert_str_eq(value_of(argv, "-cpu", 0), "host");
	cr_assert_str_eq(value_of(argv, "-append", 0), ALWAYS);
	cr_assert_not_null(strstr(value_of(argv, "-machine", 0), ",hpet=off"));
}

Test(args, leave_room_to_grow)
{
	struct qemu_args args = usual;
	autofree char **argv = NULL;

	args.memory_mib = 256;
	args.vcpus_max = 4;
	argv = qemu_args_build(&args);
	cr_assert_str_eq(value_of(argv, "-smp", 0), "1,maxcpus=4");
	cr_assert_str_eq(value_of(argv, "-m", 0), "256M,maxmem=2048M");
	cr_assert_null(strstr(value_of(argv, "-append", 0), "nolapic_timer"));
}

Test(args, have_a_balloon_where_memory_goes_back)
{
	struct qemu_args args = usual;
	autofree char **argv = NULL;
	size_t n = 0;

	args.reclaims_memory = true;
	argv = qemu_args_build(&args);
	while (argv[n])
		n++;
	cr_assert_str_eq(argv[n - 2], "-device");
	cr_assert_str_eq(argv[n - 1], "virtio-balloon-pci,id=balloon,free-page-reporting=on");
}

Test(args, keep_the_timer_of_a_guest_with_several_cpus)
{
	struct qemu_args args = usual;
	autofree char **argv = NULL;

	args.vcpus = args.vcpus_max = 2;
	argv = qemu_args_build(&args);
	cr_assert_str_eq(value_of(argv, "-smp", 0), "2");
	cr_assert_null(strstr(value_of(argv, "-append", 0), "nolapic_timer"));
}

Test(args, append_the_users_kernel_parameters_last)
{
	struct qemu_args args = usual;
	autofree char **argv = NULL;

	args.tsc_khz = 0;
	args.kernel_params = "agent.log=debug x=\"a b\"";
	argv = qemu_args_build(&args);
	cr_assert_str_eq(value_of(argv, "-append", 0),
	                 ALWAYS UNDER_TCG " nolapic_timer agent.log=debug x=\"a b\"");
}

Test(args, give_a_network_card_a_queue_for_each_of_its_descriptors)
{
	struct vm_device nic = {
		.kind = VM_DEVICE_NIC, .id = "nic2", .fd = 20, .mac = { 2, 0, 0, 0, 0, 9 }
	};
	const struct qemu_device card = { &nic, 0 };
	struct qemu_args args = usual;
	autofree char **single = NULL;
	autofree char **several = NULL;

	args.devices = &card;
	args.ndevices = 1;
	single = qemu_args_build(&args);
	cr_assert_str_eq(value_of(single, "-netdev", 0),
	                 "{\"type\":\"tap\",\"id\":\"nic2\",\"fds\":\"20\"}");
	cr_assert_null(strstr(value_of(single, "-device", 2), "\"mq\""));
	nic.queues = 2;
	nic.vhost = true;
	for (int i = 0; i < 3; i++)
		nic.more_fds[i] = 21 + i;
	several = qemu_args_build(&args);
	cr_assert_str_eq(value_of(several, "-netdev", 0),
	                 "{\"type\":\"tap\",\"id\":\"nic2\",\"fds\":\"20:21\",\"vhost\":true,"
	                 "\"vhostfds\":\"22:23\"}");
	cr_assert_str_eq(value_of(several, "-device", 2),
	                 "{\"driver\":\"virtio-net-pci\",\"id\":\"nic2\",\"netdev\":\"nic2\","
	                 "\"mac\":\"02:00:00:00:00:09\",\"romfile\":\"\",\"mq\":true,\"vectors\":6,"
	                 "\"bus\":\"port0\"}");
}
