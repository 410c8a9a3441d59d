#include "test/unit/hypervisor/fs/fake_client.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"

static void start(struct fake_client *client)
{
	const struct fuse_init_in in = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.flags = ~0U,
	};

	cr_assert_eq(fake_client_send(client, FUSE_INIT, 0, &in, sizeof(in)), 0);
}

void fake_client_init(struct fake_client *client, enum fs_cache cache)
{
	*client = (struct fake_client){ .dir = "/tmp/test-fs-XXXXXX", .room = ANSWER_MAX };
	cr_assert_not_null(mkdtemp(client->dir));
	cr_assert_eq(chdir("/proc/self/fd"), 0);
	fs_init(&client->fs, open(client->dir, O_PATH | O_CLOEXEC), cache, NULL);
	start(client);
}

void fake_client_fini(struct fake_client *client)
{
	fs_fini(&client->fs);
	cr_assert_eq(file_remove_tree(AT_FDCWD, client->dir, NULL), 0);
}

int fake_client_send(struct fake_client *client, uint32_t opcode, uint64_t node, const void *body,
                     size_t size)
{
	struct fuse_in_header in = {
		.len = (uint32_t)(sizeof(in) + size),
		.opcode = opcode,
		.unique = 7,
		.nodeid = node,
		.uid = client->uid,
		.gid = client->gid,
		.pid = client->pid,
	};
	struct fuse_out_header out = { 0 };
	/* In small pieces, as the guest may have them. */
	struct iovec iov[] = {
		{ &in, 10 },
		{ (char *)&in + 10, sizeof(in) - 10 },
		{ (void *)body, size / 2 },
		{ (char *)body + size / 2, size - size / 2 },
		{ &out, 3 },
		{ (char *)&out + 3, sizeof(out) - 3 },
		{ client->answer, client->room },
	};
	size_t n = fs_serve(&client->fs, iov, 4, 7);

	if (!n)
		return 0;
	cr_assert_eq(out.len, n);
	cr_assert_leq(n, sizeof(out) + client->room);
	cr_assert_eq(out.unique, 7);
	client->answer_size = n - sizeof(out);
	return out.error;
}

int fake_client_call(struct fake_client *client, uint32_t opcode, uint64_t node, const void *args,
                     size_t size, const char *text, const char *more)
{
	size_t text_size = text ? strlen(text) + 1 : 0;
	size_t more_size = more ? strlen(more) + 1 : 0;
	autofree char *body = mem_alloc(size + text_size + more_size + 1);

	if (size)
		memcpy(body, args, size);
	if (text)
		memcpy(body + size, text, text_size);
	if (more)
		memcpy(body + size + text_size, more, more_size);
	return fake_client_send(client, opcode, node, body, size + text_size + more_size);
}

uint64_t fake_client_lookup(struct fake_client *client, const char *name)
{
	const struct fuse_entry_out *out = (void *)client->answer;

	if (fake_client_call(client, FUSE_LOOKUP, FUSE_ROOT_ID, NULL, 0, name, NULL) < 0)
		return 0;
	return out->nodeid;
}

int64_t fake_client_open(struct fake_client *client, uint64_t node, uint32_t flags,
                         uint32_t *out_flags)
{
	const struct fuse_open_in in = { .flags = flags };
	const struct fuse_open_out *out = (void *)client->answer;
	int r = fake_client_send(client, FUSE_OPEN, node, &in, sizeof(in));

	if (r < 0)
		return r;
	if (out_flags)
		*out_flags = out->open_flags;
	return (int64_t)out->fh;
}

int fake_client_write(struct fake_client *client, uint64_t node, uint64_t handle, uint64_t offset,
                      const char *text, uint32_t flags, uint32_t write_flags)
{
	struct fuse_write_in in = {
		.fh = handle,
		.offset = offset,
		.size = (uint32_t)strlen(text),
		.flags = flags,
		.write_flags = write_flags,
	};

	return fake_client_call(client, FUSE_WRITE, node, &in, sizeof(in), text, NULL);
}

char *fake_client_path(struct fake_client *client, const char *name)
{
	return mem_printf("%s/%s", client->dir, name);
}

void fake_client_host_write(struct fake_client *client, const char *name, const char *text)
{
	autofree char *path = fake_client_path(client, name);

	cr_assert_eq(file_write(AT_FDCWD, path, 0644, text, strlen(text), NULL), 0);
}

void fake_client_host_read(struct fake_client *client, const char *name, char *out, size_t size)
{
	autofree char *path = fake_client_path(client, name);
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	cr_assert_geq(fd, 0);
	n = read(fd, out, size - 1);
	cr_assert_geq(n, 0);
	out[n] = '\0';
}
