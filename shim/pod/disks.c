#include "shim/pod/disks.h"

#include <assert.h>
#include <ev.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "common/log.h"
#include "common/mem.h"
#include "hypervisor/vm.h"

/* A disk's own state; who uses it is in @uses, in any state but DISK_USE_NONE. */
enum disk_state {
	DISK_PLUGGING,
	DISK_PLUGGED, /* without a user only if the guest has not let go of it */
	DISK_UNPLUGGING,
};

/* What it is on the host: a device by its number, a file by where it is. */
struct disk_identity {
	bool is_device;
	dev_t device;
	ino_t inode; /* of a file */
	bool read_only;
};

struct disk {
	TAILQ_ENTRY(disk) link;
	struct disks *disks;
	char id[VM_DEVICE_ID_MAX + 1];
	char path[VM_DEVICE_PATH_MAX];
	struct disk_identity what;
	int fd;         /* ours, to plug it once more */
	uint64_t bytes; /* that the machine knows of; 0: it is not known */
	enum disk_state state;
	TAILQ_HEAD(disk_use_list, disk_use) uses;
};

struct disks {
	struct disks_config config;
	TAILQ_HEAD(disk_list, disk) all;
	ev_timer look;    /* while there is one */
	uint64_t next;    /* of their ids */
	struct error why; /* it has ended; ERROR_NONE: it has not */
};

/* Neither asks a device or a server: what is known here and now. 0: it is not. */
static uint64_t read_size(const struct disk *disk)
{
	struct statx st;
	uint64_t bytes;

	if (disk->what.is_device)
		return ioctl(disk->fd, BLKGETSIZE64, &bytes) == 0 ? bytes : 0;
	if (statx(disk->fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_SIZE, &st) < 0)
		return 0;
	return st.stx_size;
}

static void compare_size(struct disk *disk)
{
	uint64_t bytes = read_size(disk);
	struct error err;

	if (disk->state != DISK_PLUGGED || bytes == disk->bytes || !bytes)
		return;
	disk->bytes = bytes;
	log_info("disk resized id=%s bytes=%llu", disk->id, (unsigned long long)bytes);
	if (vm_resize_disk(disk->disks->config.vm, disk->id, bytes, &err) < 0)
		log_warn("%s", err.text);
}

static void on_look(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct disks *disks = timer->data;
	struct disk *disk;

	for (disk = TAILQ_FIRST(&disks->all); disk; disk = TAILQ_NEXT(disk, link))
		compare_size(disk);
}

struct disks *disks_create(const struct disks_config *config)
{
	struct disks *disks = mem_new(struct disks);

	disks->config = *config;
	TAILQ_INIT(&disks->all);
	ev_timer_init(&disks->look, on_look, config->look_s, config->look_s);
	disks->look.data = disks;
	return disks;
}

static struct disk *disk_new(struct disks *disks, int fd, const struct disk_identity *what)
{
	struct disk *disk = mem_new(struct disk);

	disk->disks = disks;
	disk->fd = fd;
	disk->what = *what;
	snprintf(disk->id, sizeof(disk->id), "disk%llu", (unsigned long long)disks->next++);
	TAILQ_INIT(&disk->uses);
	TAILQ_INSERT_TAIL(&disks->all, disk, link);
	ev_timer_start(disks->config.loop, &disks->look);
	return disk;
}

static void disk_free(struct disk *disk)
{
	TAILQ_REMOVE(&disk->disks->all, disk, link);
	if (TAILQ_EMPTY(&disk->disks->all))
		ev_timer_stop(disk->disks->config.loop, &disk->disks->look);
	cleanup_close(&disk->fd);
	free(disk);
}

static void use_leave(struct disk_use *use)
{
	TAILQ_REMOVE(&use->disk->uses, use, link);
	use->disk = NULL;
	use->state = DISK_USE_NONE;
}

static struct disk_use *find_use(const struct disk *disk, enum disk_use_state state)
{
	struct disk_use *use;

	TAILQ_FOREACH (use, &disk->uses, link)
		if (use->state == state)
			break;
	return use;
}

/* All of one state are told. They may come back by it, or leave; the disk stays. */
static void answer(struct disk *disk, enum disk_use_state state, const struct error *err)
{
	struct disk_use *use;

	while ((use = find_use(disk, state))) {
		if (state == DISK_USE_PLUGGING && !err)
			use->state = DISK_USE_HELD;
		else
			use_leave(use);
		use->done(use->ctx, err);
	}
}

static void settle(struct disk *disk);

static void on_plugged(void *ctx, const struct error *err)
{
	struct disk *disk = ctx;

	if (disk->disks->why.code)
		return;
	if (err) {
		/* Who comes in a callback gets the same error. */
		answer(disk, DISK_USE_PLUGGING, err);
		disk_free(disk);
		return;
	}
	disk->state = DISK_PLUGGED;
	log_info("disk plugged id=%s path=%s", disk->id, disk->path);
	answer(disk, DISK_USE_PLUGGING, NULL);
	settle(disk);
}

static int plug(struct disk *disk, struct error *err)
{
	const struct disks_config *config = &disk->disks->config;
	const struct vm_device device = {
		.kind = VM_DEVICE_DISK,
		.id = disk->id,
		.fd = disk->fd,
		.serial = disk->id,
	};
	int r = vm_plug(config->vm, &device, config->timeout_ms, on_plugged, disk, err);

	disk->state = DISK_PLUGGING;
	disk->bytes = read_size(disk);
	if (r < 0)
		return r;
	r = vm_device_path(config->vm, disk->id, disk->path, err);
	assert(r == 0); /* it is known from now on */
	return 0;
}

/* It comes again for those who wait, or goes. */
static void on_unplugged(void *ctx, const struct error *err)
{
	struct disk *disk = ctx;
	struct error cause;

	if (disk->disks->why.code)
		return;
	disk->state = err ? DISK_PLUGGED : DISK_UNPLUGGING;
	if (err)
		log_warn("a disk stays in the machine id=%s cause=\"%s\"", disk->id, err->text);
	answer(disk, DISK_USE_LEAVING, err);
	if (err)
		answer(disk, DISK_USE_PLUGGING, NULL);
	else if (TAILQ_EMPTY(&disk->uses))
		disk_free(disk);
	else if (plug(disk, &cause) < 0)
		on_plugged(disk, &cause);
}

static bool is_used(const struct disk *disk)
{
	return find_use(disk, DISK_USE_HELD) || find_use(disk, DISK_USE_PLUGGING);
}

/* What nobody uses any more is pulled. */
static void settle(struct disk *disk)
{
	const struct disks_config *config = &disk->disks->config;
	struct error err;

	if (disk->state != DISK_PLUGGED || is_used(disk))
		return;
	disk->state = DISK_UNPLUGGING;
	if (vm_unplug(config->vm, disk->id, config->timeout_ms, on_unplugged, disk, &err) < 0)
		on_unplugged(disk, &err);
}

static int identify(int fd, struct disk_identity *out, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_errno(err, "cannot examine it");
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "neither a regular file nor a block device");
	out->is_device = S_ISBLK(st.st_mode);
	out->device = out->is_device ? st.st_rdev : st.st_dev;
	out->inode = out->is_device ? 0 : st.st_ino;
	out->read_only = (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY;
	return 0;
}

static bool serves(const struct disk *disk, const struct disk_identity *wanted)
{
	return disk->what.is_device == wanted->is_device && disk->what.device == wanted->device &&
	       disk->what.inode == wanted->inode && (wanted->read_only || !disk->what.read_only);
}

static struct disk *find(const struct disks *disks, const struct disk_identity *wanted)
{
	struct disk *disk;

	TAILQ_FOREACH (disk, &disks->all, link)
		if (serves(disk, wanted))
			break;
	return disk;
}

/* A disk that is new. NULL: @err says why it cannot be. */
static struct disk *begin(struct disks *disks, int fd, const struct disk_identity *what,
                          struct error *err)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	struct disk *disk;

	if (own < 0) {
		error_errno(err, "cannot duplicate its descriptor");
		return NULL;
	}
	disk = disk_new(disks, own, what);
	if (plug(disk, err) == 0)
		return disk;
	disk_free(disk);
	return NULL;
}

/* The disk that is, or becomes, what @fd is; or NULL. */
static struct disk *choose(struct disks *disks, int fd, struct error *err)
{
	struct disk_identity wanted = { 0 };
	struct disk *disk;

	if (disks->why.code) {
		error_copy(err, &disks->why);
		return NULL;
	}
	if (identify(fd, &wanted, err) < 0)
		return NULL;
	disk = find(disks, &wanted);
	return disk ? disk : begin(disks, fd, &wanted, err);
}

void disks_plug(struct disks *disks, int fd, struct disk_use *use, done_fn *done, void *ctx)
{
	struct error err;
	struct disk *disk = choose(disks, fd, &err);

	assert(use->state == DISK_USE_NONE);
	if (!disk) {
		done(ctx, &err);
		return;
	}
	*use = (struct disk_use){ .disk = disk, .done = done, .ctx = ctx };
	use->state = disk->state == DISK_PLUGGED ? DISK_USE_HELD : DISK_USE_PLUGGING;
	TAILQ_INSERT_TAIL(&disk->uses, use, link);
	if (use->state == DISK_USE_HELD)
		done(ctx, NULL);
}

const char *disk_use_path(const struct disk_use *use)
{
	return use->disk->path;
}

unsigned int disks_room(const struct disks *disks)
{
	unsigned int ports = disks->why.code ? 0 : vm_free_ports(disks->config.vm);

	return ports > 0 ? ports - 1 : 0;
}

void disks_unplug(struct disk_use *use, done_fn *done, void *ctx)
{
	struct disk *disk = use->disk;

	assert(use->state == DISK_USE_HELD);
	use->done = done;
	use->ctx = ctx;
	use->state = DISK_USE_LEAVING;
	if (!disk->disks->why.code && !is_used(disk)) {
		settle(disk); /* its last act may be the callback */
		return;
	}
	use_leave(use);
	done(ctx, NULL);
}

void disk_use_forget(struct disk_use *use)
{
	struct disk *disk = use->disk;

	if (use->state == DISK_USE_NONE)
		return;
	use_leave(use);
	if (!disk->disks->why.code)
		settle(disk);
}

void disks_end(struct disks *disks, const struct error *why)
{
	struct disk *disk;

	if (!disks || disks->why.code)
		return;
	error_copy(&disks->why, why);
	ev_timer_stop(disks->config.loop, &disks->look);
	for (disk = TAILQ_FIRST(&disks->all); disk; disk = TAILQ_NEXT(disk, link)) {
		answer(disk, DISK_USE_PLUGGING, why);
		answer(disk, DISK_USE_LEAVING, NULL);
		cleanup_close(&disk->fd);
	}
}

void disks_destroy(struct disks *disks)
{
	struct disk *disk;

	if (!disks)
		return;
	while ((disk = TAILQ_FIRST(&disks->all))) {
		struct disk_use *use;

		while ((use = TAILQ_FIRST(&disk->uses)))
			use_leave(use);
		disk_free(disk);
	}
	free(disks);
}
