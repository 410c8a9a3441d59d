/*
 * The pod's disks: which are shared, and when they come and go. The machine is stood in for.
 */
#include "shim/pod/disks.h"

#include <criterion/criterion.h>
#include <ev.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"
#include "hypervisor/vm.h"

static char made[2000]; /* "+disk0 " plugged, "-disk0 " pulled */
static struct {
	done_fn *done;
	void *ctx;
} pending;                  /* what the machine was asked for last */
static const char *refuses; /* at once; NULL: nothing */

static int ask(const char *verb, const char *id, done_fn *done, void *ctx, struct error *err)
{
	size_t len = strlen(made);

	snprintf(made + len, sizeof(made) - len, "%s%s ", verb, id);
	if (refuses)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED, "%s", refuses);
	pending.done = done;
	pending.ctx = ctx;
	return 0;
}

int vm_plug(struct vm *vm, const struct vm_device *device, int timeout_ms, done_fn *done, void *ctx,
            struct error *err)
{
	cr_assert_eq(device->kind, VM_DEVICE_DISK);
	return ask("+", device->id, done, ctx, err);
}

int vm_unplug(struct vm *vm, const char *id, int timeout_ms, done_fn *done, void *ctx,
              struct error *err)
{
	return ask("-", id, done, ctx, err);
}

unsigned int vm_free_ports(const struct vm *vm)
{
	return 3;
}

int vm_resize_disk(struct vm *vm, const char *id, uint64_t bytes, struct error *err)
{
	size_t len = strlen(made);

	snprintf(made + len, sizeof(made) - len, "%s=%llu ", id, (unsigned long long)bytes);
	return 0;
}

int vm_device_path(const struct vm *vm, const char *id, char path[VM_DEVICE_PATH_MAX],
                   struct error *err)
{
	snprintf(path, VM_DEVICE_PATH_MAX, "at-%.10s", id);
	return 0;
}

static char folder[] = "/tmp/test-disks-XXXXXX";
static struct disks *disks;
static struct error aborted;

static int open_file(const char *name, int flags)
{
	autofree char *path = mem_printf("%s/%s", folder, name);
	int fd = open(path, flags | O_CREAT | O_CLOEXEC, 0600);

	cr_assert_geq(fd, 0);
	return fd;
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
	ev_break(loop, EVBREAK_ONE);
}

static void setup(void)
{
	cr_assert(mkdtemp(folder));
	disks = disks_create(&(struct disks_config){ .loop = ev_default_loop(0), .look_s = 0.01 });
	error_set(&aborted, ERROR_ABORTED, "the machine refuses");
}

static void teardown(void)
{
	autofree char *command = mem_printf("rm -r %s", folder);

	disks_end(disks, &aborted);
	disks_destroy(disks);
	cr_expect_eq(system(command), 0); /* NOLINT: the test's own command */
}

TestSuite(disks, .init = setup, .fini = teardown, .timeout = 120);

/* Each is static: what a test leaves is told of the end after it. */
struct user {
	struct disk_use use;
	int answers;
	struct error err;
	struct user *then; /* plugs that one's file in the callback; NULL: none */
	int fd;
};

static void plug(struct user *user, int fd);

static void on_done(void *ctx, const struct error *err)
{
	struct user *user = ctx;

	user->answers++;
	error_copy(&user->err, err);
	if (user->then)
		plug(user->then, user->fd);
}

static void plug(struct user *user, int fd)
{
	user->fd = fd;
	disks_plug(disks, fd, &user->use, on_done, user);
}

static void unplug(struct user *user)
{
	disks_unplug(&user->use, on_done, user);
}

static void machine_answers(const struct error *err)
{
	done_fn *done = pending.done;

	cr_assert_not_null(done);
	pending.done = NULL;
	done(pending.ctx, err);
}

static void expect(const struct user *user, int answers, enum error_code code)
{
	cr_expect_eq(user->answers, answers, "%d", user->answers);
	cr_expect_eq(user->err.code, code, "%s", user->err.text);
}

Test(disks, one_for_all_who_name_it_until_the_last_has_left)
{
	static struct user one;
	static struct user two;
	static struct user three;

	plug(&one, open_file("a", O_RDWR));
	plug(&two, open_file("a", O_RDWR)); /* while it is on its way */
	cr_expect_str_eq(made, "+disk0 ");
	expect(&one, 0, ERROR_NONE);
	machine_answers(NULL);
	expect(&one, 1, ERROR_NONE);
	expect(&two, 1, ERROR_NONE);
	cr_expect_str_eq(disk_use_path(&two.use), "at-disk0");
	plug(&three, open_file("a", O_RDWR));
	expect(&three, 1, ERROR_NONE);
	unplug(&one);
	expect(&one, 2, ERROR_NONE);
	disk_use_forget(&two.use);
	cr_expect_str_eq(made, "+disk0 ");
	unplug(&three);
	cr_expect_str_eq(made, "+disk0 -disk0 ");
	expect(&three, 1, ERROR_NONE);
	machine_answers(NULL);
	expect(&three, 2, ERROR_NONE);
	plug(&one, open_file("a", O_RDWR));
	cr_expect_str_eq(made, "+disk0 -disk0 +disk1 ");
	machine_answers(NULL);
}

Test(disks, another_for_each_file_and_for_one_who_writes_beside_one_who_reads)
{
	static struct user users[5];

	plug(&users[0], open_file("a", O_RDONLY));
	machine_answers(NULL);
	plug(&users[1], open_file("b", O_RDWR));
	machine_answers(NULL);
	plug(&users[2], open_file("a", O_RDWR));
	machine_answers(NULL);
	cr_expect_str_eq(made, "+disk0 +disk1 +disk2 ");
	plug(&users[3], open_file("b", O_RDONLY)); /* he may have that of who writes */
	plug(&users[4], open_file("a", O_RDONLY));
	expect(&users[3], 1, ERROR_NONE);
	expect(&users[4], 1, ERROR_NONE);
	cr_expect_str_eq(made, "+disk0 +disk1 +disk2 ");
}

Test(disks, that_the_machine_refuses_are_forgotten)
{
	static struct user one;
	static struct user two;
	int fds[2];

	plug(&one, open_file("a", O_RDWR));
	machine_answers(&aborted);
	expect(&one, 1, ERROR_ABORTED);
	refuses = "no root port is free";
	plug(&one, open_file("a", O_RDWR));
	expect(&one, 2, ERROR_RESOURCE_EXHAUSTED);
	refuses = NULL;
	cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
	plug(&two, fds[0]);
	expect(&two, 1, ERROR_INVALID_ARGUMENT);
	cr_expect_str_eq(two.err.text, "neither a regular file nor a block device");
	cr_expect_str_eq(made, "+disk0 +disk1 ");
}

Test(disks, that_come_back_while_they_are_pulled_are_plugged_again)
{
	static struct user one;
	static struct user two;
	static struct user three;
	int fd = open_file("a", O_RDWR);

	plug(&one, fd);
	machine_answers(NULL);
	unplug(&one);
	plug(&two, fd);
	one.then = &three; /* when it has gone */
	one.fd = fd;
	machine_answers(NULL);
	expect(&one, 2, ERROR_NONE);
	cr_expect_str_eq(made, "+disk0 -disk0 +disk0 ");
	machine_answers(NULL);
	expect(&two, 1, ERROR_NONE);
	expect(&three, 1, ERROR_NONE);
}

Test(disks, that_the_guest_keeps_are_used_again)
{
	static struct user one;
	static struct user two;
	static struct user three;
	int fd = open_file("a", O_RDWR);

	plug(&one, fd);
	machine_answers(NULL);
	unplug(&one);
	plug(&two, fd);
	machine_answers(&aborted);
	expect(&one, 2, ERROR_ABORTED);
	expect(&two, 1, ERROR_NONE);
	plug(&three, fd);
	expect(&three, 1, ERROR_NONE);
	cr_expect_str_eq(made, "+disk0 -disk0 ");
}

Test(disks, nobody_waits_for_a_machine_that_ends)
{
	static struct user one;
	static struct user two;
	static struct user three;

	plug(&one, open_file("a", O_RDWR));
	machine_answers(NULL);
	plug(&two, open_file("b", O_RDWR));
	disks_end(disks, &aborted);
	expect(&two, 1, ERROR_ABORTED);
	unplug(&one);
	expect(&one, 2, ERROR_NONE);
	plug(&three, open_file("a", O_RDWR));
	expect(&three, 1, ERROR_ABORTED);
	machine_answers(&aborted); /* the machine's own answer comes to nobody */
	expect(&two, 1, ERROR_ABORTED);
	cr_expect_str_eq(made, "+disk0 +disk1 ");
}

Test(disks, who_has_been_forgotten_is_not_called)
{
	static struct user one;

	plug(&one, open_file("a", O_RDWR));
	disk_use_forget(&one.use);
	machine_answers(NULL);
	expect(&one, 0, ERROR_NONE);
	cr_expect_str_eq(made, "+disk0 -disk0 ");
	machine_answers(NULL);
}

static void run_for(double seconds)
{
	ev_timer tick;

	ev_timer_init(&tick, on_tick, seconds, 0);
	ev_timer_start(ev_default_loop(0), &tick);
	ev_run(ev_default_loop(0), 0);
}

Test(disks, are_as_large_as_on_the_host)
{
	static struct user one;
	int fd = open_file("a", O_RDWR);

	cr_assert_eq(ftruncate(fd, 4096), 0);
	plug(&one, fd);
	cr_assert_eq(ftruncate(fd, 8192), 0);
	run_for(0.1);
	cr_expect_str_eq(made, "+disk0 ");
	machine_answers(NULL);
	run_for(0.1);
	cr_expect_str_eq(made, "+disk0 disk0=8192 ", "%s", made);
	unplug(&one);
	cr_assert_eq(ftruncate(fd, 4096), 0);
	run_for(0.1);
	machine_answers(NULL);
	run_for(0.1);
	cr_expect_str_eq(made, "+disk0 disk0=8192 -disk0 ", "%s", made);
}
