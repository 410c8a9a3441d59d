/*
 * Extended attributes.
 */
#include <errno.h>
#include <limits.h>
#include <linux/limits.h>
#include <string.h>
#include <sys/xattr.h>

#include "hypervisor/fs/fs_internal.h"

static int take_attribute(struct request *request, const char **out)
{
	int r = request_take_text(request, out);

	if (r < 0)
		return r;
	return strlen(*out) > XATTR_NAME_MAX ? -ERANGE : 0;
}

/* What a call has put into the answer; or its length alone, for who asks how long it is. */
static int answer_value(struct request *request, uint32_t size, ssize_t n)
{
	struct fuse_getxattr_out *out;

	if (n < 0)
		return -errno;
	if (size) {
		request->reply_size = (size_t)n;
		return 0;
	}
	out = request_add(request, sizeof(*out));
	if (!out)
		return -EINVAL;
	out->size = (uint32_t)n;
	return 0;
}

/* The call's buffer: of length 0, which asks for the length alone, only if the guest does. */
static int room_for(const struct request *request, uint32_t size, size_t *out)
{
	size_t room = request_room(request);

	if (size && !room)
		return -ERANGE;
	*out = size < room ? size : room;
	return 0;
}

int fs_getxattr(struct fs *fs, struct request *request)
{
	const struct fuse_getxattr_in *in = request_take(request, sizeof(*in));
	const struct inode *inode = request_inode(fs, request);
	struct fd_name file;
	const char *name;
	size_t room = 0;
	int r = take_attribute(request, &name);

	if (r == 0)
		r = room_for(request, in->size, &room);
	if (r < 0 || !inode)
		return r < 0 ? r : -ESTALE;
	file = fd_name(inode->fd);
	return answer_value(request, in->size, getxattr(file.text, name, request->reply, room));
}

int fs_listxattr(struct fs *fs, struct request *request)
{
	const struct fuse_getxattr_in *in = request_take(request, sizeof(*in));
	const struct inode *inode = request_inode(fs, request);
	struct fd_name file;
	size_t room = 0;
	int r = room_for(request, in->size, &room);

	if (r < 0 || !inode)
		return r < 0 ? r : -ESTALE;
	file = fd_name(inode->fd);
	return answer_value(request, in->size, listxattr(file.text, request->reply, room));
}

int fs_setxattr(struct fs *fs, struct request *request)
{
	const struct fuse_setxattr_in *in = request_take(request, FUSE_COMPAT_SETXATTR_IN_SIZE);
	const struct inode *inode = request_inode(fs, request);
	struct fd_name file;
	const char *name;
	const void *value;
	int r = take_attribute(request, &name);

	if (r < 0 || !inode)
		return r < 0 ? r : -ESTALE;
	value = request_take(request, in->size);
	if (!value)
		return -EINVAL;
	r = caller_keep_setid(&fs->caller, true);
	if (r < 0)
		return r;
	file = fd_name(inode->fd);
	return setxattr(file.text, name, value, in->size, (int)in->flags) < 0 ? -errno : 0;
}

int fs_removexattr(struct fs *fs, struct request *request)
{
	const struct inode *inode = request_inode(fs, request);
	struct fd_name file;
	const char *name;
	int r = take_attribute(request, &name);

	if (r < 0 || !inode)
		return r < 0 ? r : -ESTALE;
	file = fd_name(inode->fd);
	return removexattr(file.text, name) < 0 ? -errno : 0;
}
