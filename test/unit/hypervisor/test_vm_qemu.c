#include <criterion/criterion.h>
#include <dirent.h>
#include <ev.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"
#include "hypervisor/virtiofsd.h"
#include "hypervisor/vm.h"
#include "hypervisor/vm_device.h"

/*
 * A whole machine: QEMU under a user id of its own, virtiofsd, the vsock device, and a guest that
 * says on its console what devices it has (plug_guest.c). Needs root.
 */

#define QEMU       "/usr/bin/qemu-system-x86_64"
#define VIRTIOFSD  "/usr/lib/qemu/virtiofsd"
#define UID        2000000123
#define TIMEOUT_MS 60000
#define DEADLINE_S 100
#define LOOK_S     0.02
#define QUEUES     3 /* of a card that is plugged in */

static char dir[] = "/tmp/test-vm-qemu-XXXXXX";
static struct ev_loop *loop;
static struct vm *vm;
static char console[8192];
static char *share_file; /* what the guest reads of the share */

static struct {
	int calls; /* of on_done() */
	struct error err;
	bool gone;
	struct error cause;
} seen;

static void on_done(void *ctx, const struct error *err)
{
	seen.calls++;
	error_copy(&seen.err, err);
}

static void on_gone(void *ctx, const struct error *err)
{
	seen.gone = true;
	error_copy(&seen.cause, err);
}

static void on_look(struct ev_loop *look_loop, ev_timer *timer, int events)
{
}

static void on_late(struct ev_loop *late_loop, ev_timer *timer, int events)
{
	cr_assert_fail("nothing more has happened for %d s; the console: %s", DEADLINE_S, console);
}

/* Runs the loop until @is_so. */
static void run_until(bool (*is_so)(const void *arg), const void *arg)
{
	ev_timer look, late;

	ev_timer_init(&look, on_look, LOOK_S, LOOK_S);
	ev_timer_init(&late, on_late, DEADLINE_S, 0);
	ev_timer_start(loop, &look);
	ev_timer_start(loop, &late);
	while (!is_so(arg))
		ev_run(loop, EVRUN_ONCE);
	ev_timer_stop(loop, &look);
	ev_timer_stop(loop, &late);
}

static bool is_gone(const void *arg)
{
	return seen.gone;
}

static bool is_done(const void *arg)
{
	cr_assert_not(seen.gone, "%s", seen.cause.text);
	return seen.calls == *(const int *)arg;
}

static void run_until_done(int calls)
{
	run_until(is_done, &calls);
	cr_assert_eq(seen.err.code, ERROR_NONE, "%s", seen.err.text);
	seen.calls = 0;
}

/* What the guest has is what its last line says. */
static bool guest_has(const void *arg)
{
	const char *line = NULL;

	cr_assert_not(seen.gone, "%s", seen.cause.text);
	vm_console_tail(vm, console, sizeof(console));
	for (const char *at = console; (at = strstr(at, "guest: ")); at++)
		line = at;
	return line && strstr(line, arg);
}

static void run_until_guest_has(const char *text)
{
	run_until(guest_has, text);
}

static int make_file(const char *name, const char *content, mode_t mode)
{
	autofree char *path = mem_printf("%s/%s", dir, name);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, mode);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, content, strlen(content)), (ssize_t)strlen(content));
	cr_assert_eq(ftruncate(fd, 1 << 20), 0);
	return fd;
}

/* A disk that QEMU's user may not open by itself. */
static struct vm_device make_disk(const char *id, const char *content)
{
	return (struct vm_device){
		.kind = VM_DEVICE_DISK, .id = id, .serial = id, .fd = make_file(id, content, 0600)
	};
}

/* The first names it, the others find it by its name. */
static int open_queue(struct ifreq *request)
{
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	cr_assert_geq(fd, 0);
	request->ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE;
	cr_assert_eq(ioctl(fd, TUNSETIFF, request), 0);
	return fd;
}

static struct vm_device make_tap(const char *id, unsigned int queues)
{
	struct ifreq request = { 0 };
	struct vm_device card = { .kind = VM_DEVICE_NIC,
		                  .id = id,
		                  .queues = queues,
		                  .mac = { 2, 0, 0, 0x1a, 0x2b, 0x3c } };

	card.fd = open_queue(&request);
	for (unsigned int i = 1; i < queues; i++)
		card.more_fds[i - 1] = open_queue(&request);
	return card;
}

static char *make_dir(const char *name)
{
	char *path = mem_printf("%s/%s", dir, name);

	cr_assert_eq(mkdir(path, 0755), 0);
	return path;
}

static void start(const struct vm_device *devices, size_t ndevices)
{
	static const struct vm_events events = { .on_gone = on_gone };
	autofree char *run_dir = make_dir("run");
	autofree char *share_dir = make_dir("share");
	struct error err;
	const struct vm_config config = {
		.vmm_path = QEMU,
		.kernel = GUEST_DIR "/kernel",
		.initramfs = GUEST_DIR "/initramfs",
		.vsock_path = VSOCK_DEVICE,
		.virtiofsd_path = VIRTIOFSD,
		.share_dir = share_dir,
		.run_dir = run_dir,
		.memory_mib = 256,
		.memory_max_mib = 1024,
		.vcpus = 1,
		.vcpus_max = 3,
		.devices = devices,
		.ndevices = ndevices,
		.ports = VM_PORTS_USUAL,
		.accel = VM_ACCEL_TCG,
		.cache = VM_CACHE_AUTO,
		.uid = UID,
		.gid = UID,
		.handshake_timeout_ms = TIMEOUT_MS,
		.stop_timeout_ms = TIMEOUT_MS,
	};

	share_file = mem_printf("%s/word", share_dir);
	cr_assert_eq(file_write(AT_FDCWD, share_file, 0644, "early", 5, NULL), 0);
	cr_assert_eq(vm_start(loop, &config, &events, NULL, &vm, &err), 0, "%s", err.text);
	run_until_guest_has("share=early");
	cr_assert_eq(vm_state(vm), VM_RUNNING);
}

static void set_up(void)
{
	cr_assert_eq(unshare(CLONE_NEWNET), 0, "this test needs root");
	cr_assert_not_null(mkdtemp(dir));
	cr_assert_eq(chmod(dir, 0755), 0);
	loop = ev_loop_new(0);
}

static void tear_down(void)
{
	vm_destroy(vm);
	cr_assert_eq(file_remove_tree(AT_FDCWD, dir, NULL), 0);
	ev_loop_destroy(loop);
	free(share_file);
}

TestSuite(vm_qemu, .init = set_up, .fini = tear_down);

static void close_descriptors(const struct vm_device *device)
{
	for (size_t i = 0; i < vm_device_count_fds(device); i++)
		close(vm_device_fd(device, i));
}

static void plug(const struct vm_device *device)
{
	struct error err;

	cr_assert_eq(vm_plug(vm, device, TIMEOUT_MS, on_done, NULL, &err), 0, "%s", err.text);
	close_descriptors(device);
}

static void unplug(const char *id)
{
	struct error err;

	cr_assert_eq(vm_unplug(vm, id, TIMEOUT_MS, on_done, NULL, &err), 0, "%s", err.text);
}

/* How many of QEMU's descriptors are the file @path. */
static int count_descriptors(const char *path)
{
	autofree char *list = mem_printf("/proc/%d/fd", vm_pid(vm));
	DIR *entries = opendir(list);
	struct dirent *entry;
	char target[500];
	int count = 0;

	cr_assert_not_null(entries);
	while ((entry = readdir(entries))) {
		ssize_t n = readlinkat(dirfd(entries), entry->d_name, target, sizeof(target) - 1);

		target[n < 0 ? 0 : n] = '\0';
		count += !strcmp(target, path);
	}
	closedir(entries);
	return count;
}

static void stop(void)
{
	vm_stop(vm);
	run_until(is_gone, NULL);
	cr_assert_eq(seen.cause.code, ERROR_NONE, "%s", seen.cause.text);
}

static void expect_room_for_eight_disks(void)
{
	char id[16], text[40];
	struct vm_device disk;
	struct error err;

	for (int i = 0; i < 8; i++) {
		snprintf(id, sizeof(id), "room%d", i);
		disk = make_disk(id, id);
		plug(&disk);
		run_until_done(1);
		snprintf(text, sizeof(text), ":%s:%s", id, id);
		run_until_guest_has(text);
	}
	disk = make_disk("room8", "");
	cr_assert_lt(vm_plug(vm, &disk, TIMEOUT_MS, on_done, NULL, &err), 0);
	cr_assert_str_eq(err.text,
	                 "cannot plug \"room8\": no root port is free: the machine has 8");
	close(disk.fd);
}

static void expect_card_at_its_path(const char *id)
{
	char path[VM_DEVICE_PATH_MAX];
	char text[64];
	struct error err;

	cr_assert_eq(vm_device_path(vm, id, path, &err), 0, "%s", err.text);
	snprintf(text, sizeof(text), "cards=[ eth0:02:00:00:1a:2b:3c:%s]", path);
	run_until_guest_has(text);
	cr_assert_lt(vm_device_path(vm, "share", path, &err), 0);
	cr_assert_str_eq(err.text, "the machine has no device \"share\"");
}

Test(vm_qemu, a_disk_and_a_network_card_come_and_go_while_the_guest_runs)
{
	autofree char *path = mem_printf("%s/disk1", dir);
	struct vm_device disk = make_disk("disk1", "content1");
	struct vm_device card = make_tap("card1", QUEUES);

	start(NULL, 0);
	run_until_guest_has("disks=[] cards=[]");
	for (int i = 0; i < 2; i++) { /* the second time on a port that was used */
		plug(&disk);
		plug(&card);
		run_until_done(2);
		run_until_guest_has("disks=[ vda:disk1:content1] cards=[ eth0:02:00:00:1a:2b:3c:");
		expect_card_at_its_path("card1");
		cr_assert_geq(count_descriptors(path), 1);
		cr_assert_eq(count_descriptors("/dev/net/tun"), QUEUES);
		unplug("disk1");
		unplug("card1");
		run_until_done(2);
		cr_assert_eq(count_descriptors(path), 0);
		cr_assert_eq(count_descriptors("/dev/net/tun"), 0);
		run_until_guest_has("disks=[] cards=[]");
		disk.fd = open(path, O_RDWR | O_CLOEXEC);
		card = make_tap("card1", QUEUES);
	}
	expect_room_for_eight_disks();
	stop();
}

static void resize(unsigned int vcpus, uint64_t memory_mib)
{
	struct error err;

	cr_assert_eq(vm_resize(vm, vcpus, memory_mib, TIMEOUT_MS, on_done, NULL, &err), 0, "%s",
	             err.text);
	run_until_done(1);
}

static void expect_no_resize(unsigned int vcpus, uint64_t memory_mib, const char *text)
{
	struct error err;

	cr_assert_lt(vm_resize(vm, vcpus, memory_mib, TIMEOUT_MS, on_done, NULL, &err), 0);
	cr_assert_str_eq(err.text, text);
}

/* What the guest says is its memory without what its kernel keeps for itself. */
static long guest_memory(void)
{
	const char *at;

	run_until_guest_has("memory=");
	at = strstr(strrchr(console, '['), "memory=");
	return strtol(at + strlen("memory="), NULL, 10);
}

static bool memory_is_less(const void *than)
{
	return guest_has("memory=") && guest_memory() < *(const long *)than;
}

static bool memory_is_more(const void *than)
{
	return guest_has("memory=") && guest_memory() > *(const long *)than;
}

static void on_second_lost(void *ctx, int status, const struct error *err)
{
	/* Nobody's when QEMU has let go of its socket. */
}

static void expect_second_share_to_come_and_go(void)
{
	autofree char *path = make_dir("second");
	autofree char *run_dir = make_dir("second-run");
	autofree char *word = mem_printf("%s/word", path);
	const struct virtiofsd_config config = {
		.path = VIRTIOFSD, .share_dir = path, .run_dir = run_dir, .cache = VM_CACHE_AUTO
	};
	struct vm_device share = { .kind = VM_DEVICE_SHARE, .id = "second", .tag = "second" };
	struct virtiofsd *virtiofsd;
	struct error err;

	cr_assert_eq(file_write(AT_FDCWD, word, 0644, "hello", 5, NULL), 0);
	cr_assert_eq(
		virtiofsd_start(loop, &config, on_second_lost, NULL, &virtiofsd, &share.fd, &err),
		0, "%s", err.text);
	plug(&share);
	run_until_done(1);
	run_until_guest_has("second=hello");
	unplug("second");
	run_until_done(1);
	virtiofsd_destroy(virtiofsd);
}

Test(vm_qemu, a_machine_with_devices_from_its_start_grows_and_gives_memory_back)
{
	struct vm_device devices[] = { make_disk("disk0", "content0"), make_tap("card0", 2) };
	long before, more, less;

	start(devices, 2);
	run_until_guest_has("disks=[ vda:disk0:content0] cards=[ eth0:02:00:00:1a:2b:3c:");
	expect_card_at_its_path("card0");
	before = guest_memory();
	resize(3, 768);
	more = before + 450;
	run_until(memory_is_more, &more);
	run_until_guest_has("cpus=3");
	cr_assert_eq(file_write(AT_FDCWD, share_file, 0644, "later", 5, NULL), 0);
	run_until_guest_has("share=later"); /* virtiofsd has the new memory, too */
	expect_second_share_to_come_and_go();
	resize(3, 512);
	less = more - 150;
	run_until(memory_is_less, &less);
	expect_no_resize(4, 512,
	                 "cannot resize the virtual machine: invalid number of vCPUs \"4\": not "
	                 "from 1 to 3");
	expect_no_resize(3, 2048,
	                 "cannot resize the virtual machine: invalid memory \"2048 MiB\": not from "
	                 "256 to 1024 in steps of 2");
	if (vm_vcpus_leave(vm)) {
		resize(1, 0);
		run_until_guest_has("cpus=1");
		resize(3, 0);
		run_until_guest_has("cpus=3");
	} else {
		expect_no_resize(2, 512,
		                 "cannot resize the virtual machine: taking vCPUs away: not "
		                 "supported by qemu here");
	}
	cr_assert_eq(vm_vcpus(vm), 3);
	resize(3, 256);
	cr_assert_eq(vm_memory_mib(vm), 256);
	unplug("disk0");
	unplug("card0");
	run_until_done(2);
	run_until_guest_has("disks=[] cards=[]");
	close_descriptors(&devices[0]);
	close_descriptors(&devices[1]);
	stop();
}
