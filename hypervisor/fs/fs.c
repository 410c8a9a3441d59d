#include "hypervisor/fs/fs.h"

#include <errno.h>
#include <limits.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/mem.h"
#include "hypervisor/fs/closer.h"
#include "hypervisor/fs/fs_internal.h"
#include "hypervisor/fs/request.h"

#define PAGES_MAX      256 /* of one READ or WRITE */
#define PAGE_BYTES     4096
#define BACKGROUND_MAX 64 /* requests that nobody waits for */

/* What the guest's client may do if it can. A flush at each close would tell nothing, and who may
 * do what is checked by the guest itself. */
#define FEATURES                                                                                   \
	(FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES | FUSE_DONT_MASK |                \
	 FUSE_AUTO_INVAL_DATA | FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO | FUSE_ASYNC_DIO |     \
	 FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES | FUSE_SUBMOUNTS | FUSE_HANDLE_KILLPRIV_V2)

struct fd_name fd_name(int fd)
{
	struct fd_name name;

	snprintf(name.text, sizeof(name.text), "%d", fd);
	return name;
}

struct inode *request_inode(const struct fs *fs, const struct request *request)
{
	return inode_table_find(&fs->inodes, request->header.nodeid);
}

/* Some are left for the guest's memory and queues, which the VMM hands over at any time, and for
 * those that the closer has not closed yet. */
static unsigned int descriptors_max(void)
{
	const rlim_t others = 2 * CLOSER_MAX + 64;
	struct rlimit limit = { 0 };

	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur > UINT_MAX)
		limit.rlim_cur = UINT_MAX;
	return (unsigned int)(limit.rlim_cur > 2 * others ? limit.rlim_cur - others
	                                                  : limit.rlim_cur / 2);
}

bool fs_is_full(const struct fs *fs)
{
	return fs->inodes.count + fs->files_count >= fs->descriptors_max;
}

/* The directory is the first node, FUSE_ROOT_ID. */
static void add_root(struct fs *fs)
{
	struct statx st;
	int fd = dup(fs->root);

	inode_table_init(&fs->inodes, fs->closer);
	if (fd < 0)
		return;
	if (inode_stat_fd(fd, &st) < 0)
		close(fd);
	else
		inode_table_add(&fs->inodes, fd, &st);
}

void fs_init(struct fs *fs, int root, enum fs_cache cache, struct closer *closer)
{
	*fs = (struct fs){
		.root = root,
		.cache = cache,
		.closer = closer,
		.descriptors_max = descriptors_max(),
		.body = mem_alloc(REQUEST_BODY_MAX),
		.reply = mem_alloc(REPLY_BODY_MAX),
	};
	TAILQ_INIT(&fs->listings);
	caller_init(&fs->caller);
	add_root(fs);
}

static void forget_all(struct fs *fs)
{
	files_close(fs);
	inode_table_fini(&fs->inodes);
	fs->ready = false;
}

void fs_reset(struct fs *fs)
{
	forget_all(fs);
	add_root(fs);
}

void fs_fini(struct fs *fs)
{
	forget_all(fs);
	free(fs->body);
	free(fs->reply);
	close(fs->root);
}

/* The kernel's answer to another major version would be the next request. */
static int fs_start(struct fs *fs, struct request *request)
{
	const struct fuse_init_in *in = request_take(request, FUSE_COMPAT_INIT_OUT_SIZE);
	struct fuse_init_out *out = request_add(request, sizeof(*out));
	uint64_t offered;

	if (!out || in->major != FUSE_KERNEL_VERSION)
		return -EPROTO;
	offered = request->size >= 16 ? in->flags : 0;
	if ((offered & FUSE_INIT_EXT) && request->size >= sizeof(*in))
		offered |= (uint64_t)in->flags2 << 32;
	if (fs->ready)
		fs_reset(fs);
	fs->ready = true;
	offered &= FEATURES | FUSE_INIT_EXT;
	*out = (struct fuse_init_out){
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.max_readahead = request->size >= 16 ? in->max_readahead : 0,
		.flags = (uint32_t)offered,
		.max_background = BACKGROUND_MAX,
		.congestion_threshold = BACKGROUND_MAX * 3 / 4,
		.max_write = PAGES_MAX * PAGE_BYTES,
		.time_gran = 1,
		.max_pages = PAGES_MAX,
		.flags2 = (uint32_t)(offered >> 32),
	};
	return 0;
}

static int fs_destroy(struct fs *fs, struct request *request)
{
	fs_reset(fs);
	return 0;
}

/* Nothing takes long enough to be interrupted. */
static int fs_interrupt(struct fs *fs, struct request *request)
{
	return 0;
}

enum {
	AS_CALLER = 1, /* it makes something, which is the caller's */
	NO_ANSWER = 2, /* the guest takes none */
	WITH_DATA = 4, /* what follows its arguments stays where it is */
};

struct operation {
	fs_handler_fn *handle; /* NULL: not supported, which the guest's client remembers */
	size_t size;           /* of its arguments, at least */
	unsigned int flags;
};

/* clang-format off */
static const struct operation operations[] = {
	[FUSE_INIT] = { fs_start, FUSE_COMPAT_INIT_OUT_SIZE, 0 },
	[FUSE_DESTROY] = { fs_destroy, 0, 0 },
	[FUSE_INTERRUPT] = { fs_interrupt, 0, NO_ANSWER },
	[FUSE_LOOKUP] = { fs_lookup, 0, 0 },
	[FUSE_FORGET] = { fs_forget, sizeof(struct fuse_forget_in), NO_ANSWER },
	[FUSE_BATCH_FORGET] = { fs_batch_forget, sizeof(struct fuse_batch_forget_in), NO_ANSWER },
	[FUSE_GETATTR] = { fs_getattr, 0, 0 },
	[FUSE_SETATTR] = { fs_setattr, sizeof(struct fuse_setattr_in), 0 },
	[FUSE_READLINK] = { fs_readlink, 0, 0 },
	[FUSE_SYMLINK] = { fs_symlink, 0, AS_CALLER },
	[FUSE_MKNOD] = { fs_mknod, sizeof(struct fuse_mknod_in), AS_CALLER },
	[FUSE_MKDIR] = { fs_mkdir, sizeof(struct fuse_mkdir_in), AS_CALLER },
	[FUSE_CREATE] = { fs_create, sizeof(struct fuse_create_in), AS_CALLER },
	[FUSE_TMPFILE] = { fs_tmpfile, sizeof(struct fuse_create_in), AS_CALLER },
	[FUSE_UNLINK] = { fs_unlink, 0, 0 },
	[FUSE_RMDIR] = { fs_rmdir, 0, 0 },
	[FUSE_RENAME] = { fs_rename, sizeof(struct fuse_rename_in), 0 },
	[FUSE_RENAME2] = { fs_rename2, sizeof(struct fuse_rename2_in), 0 },
	[FUSE_LINK] = { fs_link, sizeof(struct fuse_link_in), 0 },
	[FUSE_OPEN] = { fs_open, sizeof(struct fuse_open_in), 0 },
	[FUSE_READ] = { fs_read, sizeof(struct fuse_read_in), 0 },
	[FUSE_WRITE] = { fs_write, sizeof(struct fuse_write_in), WITH_DATA },
	[FUSE_STATFS] = { fs_statfs, 0, 0 },
	[FUSE_RELEASE] = { fs_release, sizeof(struct fuse_release_in), 0 },
	[FUSE_FSYNC] = { fs_fsync, sizeof(struct fuse_fsync_in), 0 },
	[FUSE_LSEEK] = { fs_lseek, sizeof(struct fuse_lseek_in), 0 },
	[FUSE_FALLOCATE] = { fs_fallocate, sizeof(struct fuse_fallocate_in), 0 },
	[FUSE_COPY_FILE_RANGE] = { fs_copy_file_range, sizeof(struct fuse_copy_file_range_in), 0 },
	[FUSE_SYNCFS] = { fs_syncfs, 0, 0 },
	[FUSE_OPENDIR] = { fs_opendir, sizeof(struct fuse_open_in), 0 },
	[FUSE_READDIR] = { fs_readdir, sizeof(struct fuse_read_in), 0 },
	[FUSE_READDIRPLUS] = { fs_readdirplus, sizeof(struct fuse_read_in), 0 },
	[FUSE_RELEASEDIR] = { fs_release, sizeof(struct fuse_release_in), 0 },
	[FUSE_FSYNCDIR] = { fs_fsync, sizeof(struct fuse_fsync_in), 0 },
	[FUSE_GETXATTR] = { fs_getxattr, sizeof(struct fuse_getxattr_in), 0 },
	[FUSE_LISTXATTR] = { fs_listxattr, sizeof(struct fuse_getxattr_in), 0 },
	[FUSE_SETXATTR] = { fs_setxattr, FUSE_COMPAT_SETXATTR_IN_SIZE, 0 },
	[FUSE_REMOVEXATTR] = { fs_removexattr, 0, 0 },
};
/* clang-format on */

static const struct operation *operation_of(uint32_t opcode)
{
	static const struct operation none = { 0 };

	return opcode < sizeof(operations) / sizeof(operations[0]) ? &operations[opcode] : &none;
}

static int handle(struct fs *fs, const struct operation *operation, struct request *request)
{
	size_t size = operation->flags & WITH_DATA ? operation->size : REQUEST_BODY_MAX;
	int r;

	if (!operation->handle)
		return -ENOSYS;
	if (!fs->ready && operation->handle != fs_start)
		return -EIO;
	request->size = pieces_take(&request->data, request->body, size);
	if (request->size < operation->size)
		return -EINVAL;
	if (request->data.bytes && !(operation->flags & WITH_DATA))
		return -E2BIG;
	if (!(operation->flags & AS_CALLER)) {
		r = caller_become(&fs->caller, 0, 0);
		if (r < 0)
			return r;
	}
	return operation->handle(fs, request);
}

static size_t total(const struct iovec *iov, unsigned int count)
{
	size_t bytes = 0;

	for (unsigned int i = 0; i < count; i++)
		bytes += iov[i].iov_len;
	return bytes;
}

/* The header goes first, though it is known last: what is read from a file is behind it already. */
static size_t answer(struct request *request, struct pieces *start, int r)
{
	struct fuse_out_header header = {
		.len = sizeof(header),
		.error = r,
		.unique = request->header.unique,
	};

	if (r == 0) {
		header.len += request->reply_size + request->in_place;
		pieces_put(&request->answer, request->reply, request->reply_size);
	}
	pieces_put(start, &header, sizeof(header));
	return header.len;
}

size_t fs_serve(struct fs *fs, struct iovec *iov, unsigned int readable, unsigned int count)
{
	unsigned int writable = count - readable;
	struct iovec head[sizeof(struct fuse_out_header)];
	struct pieces start = { .iov = head };
	struct request request = {
		.body = fs->body,
		.reply = fs->reply,
		.data = { iov, readable, total(iov, readable) },
		.answer = { iov + readable, writable, total(iov + readable, writable) },
	};
	const struct operation *operation;
	int r;

	if (pieces_take(&request.data, &request.header, sizeof(request.header)) !=
	    sizeof(request.header))
		return 0;
	operation = operation_of(request.header.opcode);
	if (operation->flags & NO_ANSWER) {
		handle(fs, operation, &request);
		return 0;
	}
	if (request.answer.bytes < sizeof(struct fuse_out_header))
		return 0;
	start = pieces_split(&request.answer, sizeof(struct fuse_out_header), head);
	r = handle(fs, operation, &request);
	return answer(&request, &start, r);
}
