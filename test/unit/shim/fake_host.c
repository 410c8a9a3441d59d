/* What the service needs of the host: root file systems, uids and events. */
#include "fake_parts.h"

#include <stdlib.h>

#include "common/mem.h"
#include "proto/events.pb-c.h"
#include "shim/host/uid_lease.h"
#include "shim/pod/events.h"
#include "shim/storage/rootfs.h"
#include "shim/storage/volumes.h"

struct rootfs {
	done_fn *done;
	void *ctx;
};

static void rootfs_done(void *arg)
{
	struct rootfs *rootfs = arg;

	rootfs->done(rootfs->ctx, NULL);
}

int rootfs_mount(struct ev_loop *loop, const struct rootfs_config *config, done_fn *done, void *ctx,
                 struct rootfs **out, struct error *err)
{
	fake_note("mount", "");
	volumes_destroy(config->volumes); /* which it takes over */
	fake.mounts++;
	*out = mem_new(struct rootfs);
	**out = (struct rootfs){ done, ctx };
	fake_do_later(rootfs_done, *out);
	return 0;
}

struct volumes *rootfs_volumes(const struct rootfs *rootfs)
{
	return NULL;
}

int rootfs_unmount(struct rootfs *rootfs, int timeout_ms, done_fn *done, void *ctx,
                   struct error *err)
{
	fake_note("unmount", "");
	fake.mounts--;
	if (fake.unmount_fails)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED, "no descriptors");
	*rootfs = (struct rootfs){ done, ctx };
	fake_do_later(rootfs_done, rootfs);
	return 0;
}

void rootfs_destroy(struct rootfs *rootfs)
{
	if (rootfs)
		fake_forget_later(rootfs);
	free(rootfs);
}

int uid_lease_take(const char *dir, uid_t first, unsigned int count, struct uid_lease **out,
                   struct error *err)
{
	*out = (struct uid_lease *)&fake;
	return 0;
}

uid_t uid_lease_uid(const struct uid_lease *lease)
{
	return UID_LEASE_FIRST;
}

void uid_lease_destroy(struct uid_lease *lease)
{
}

void events_publish(struct events *events, const char *topic, const ProtobufCMessage *event)
{
	const Containerd__Events__TaskExit *exit_ = (const void *)event;

	if (event->descriptor == &containerd__events__task_exit__descriptor) {
		fake_note(topic, exit_->id);
		fake.exit_status = exit_->exit_status;
	} else {
		fake_note(topic, "");
	}
}

void events_publish_once(struct events *events, const char *topic, const ProtobufCMessage *event)
{
	events_publish(events, topic, event);
}
