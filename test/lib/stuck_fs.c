/*
 * stuck_fs DIR: a FUSE file system at DIR whose root can be looked at, and in which looking up
 * "hang" has no answer: the caller is in a sleep that not even SIGKILL ends, until this program
 * ends. Says "ready" once it is mounted, and "hanging" for each such caller. (The protocol:
 * linux/fuse.h.)
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define REQUEST_MAX (128 << 10)

static void reply(int fd, const struct fuse_in_header *request, int error, const void *body,
                  size_t size)
{
	struct fuse_out_header header = {
		.len = (uint32_t)(sizeof(header) + size),
		.error = error,
		.unique = request->unique,
	};
	struct iovec parts[] = { { &header, sizeof(header) }, { (void *)body, size } };

	if (writev(fd, parts, 2) < 0 && errno != ENOENT) /* ENOENT: the caller has gone */
		perror("reply");
}

static void answer_init(int fd, const struct fuse_in_header *request)
{
	const struct fuse_init_out out = {
		.major = FUSE_KERNEL_VERSION,
		.minor = 31,
		.max_write = 4096,
	};

	reply(fd, request, 0, &out, sizeof(out));
}

static void answer_attributes(int fd, const struct fuse_in_header *request)
{
	const struct fuse_attr_out out = {
		.attr = { .ino = FUSE_ROOT_ID, .mode = S_IFDIR | 0755, .nlink = 2 },
	};

	reply(fd, request, 0, &out, sizeof(out));
}

static void answer_lookup(int fd, const struct fuse_in_header *request, const char *name)
{
	if (strcmp(name, "hang") != 0) {
		reply(fd, request, -ENOENT, NULL, 0);
		return;
	}
	puts("hanging");
	fflush(stdout);
}

static void answer(int fd, const struct fuse_in_header *request)
{
	switch (request->opcode) {
	case FUSE_INIT:
		answer_init(fd, request);
		break;
	case FUSE_GETATTR:
		answer_attributes(fd, request);
		break;
	case FUSE_LOOKUP:
		answer_lookup(fd, request, (const char *)(request + 1));
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break; /* have no answer */
	default:
		reply(fd, request, -ENOSYS, NULL, 0);
	}
}

int main(int argc, char **argv)
{
	static char request[REQUEST_MAX] __attribute__((aligned(8)));
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	char options[100];
	ssize_t n;

	snprintf(options, sizeof(options),
	         "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions", fd);
	if (argc != 2 || fd < 0 || mount("stuck", argv[1], "fuse", 0, options) < 0) {
		perror("mount");
		return 1;
	}
	puts("ready");
	fflush(stdout);
	while ((n = read(fd, request, sizeof(request))) > 0 || (n < 0 && errno == EINTR))
		if (n > 0)
			answer(fd, (const struct fuse_in_header *)request);
	return 0;
}
