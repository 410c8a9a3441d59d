#include "hypervisor/fs/fs.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/mem.h"
#include "test/unit/hypervisor/fs/fake_client.h"

static struct fake_client client;

static void set_up(void)
{
	fake_client_init(&client, FS_CACHE_AUTO);
}

static void tear_down(void)
{
	fake_client_fini(&client);
}

TestSuite(fs, .init = set_up, .fini = tear_down);

static int call_name(uint32_t opcode, const char *name)
{
	return fake_client_call(&client, opcode, FUSE_ROOT_ID, NULL, 0, name, NULL);
}

static void expect_file(const char *name, const char *expected)
{
	char text[64];

	fake_client_host_read(&client, name, text, sizeof(text));
	cr_assert_str_eq(text, expected);
}

static void host_removes(const char *name)
{
	autofree char *path = fake_client_path(&client, name);

	cr_assert_eq(unlink(path), 0);
}

static void host_sets_attribute(const char *name, const char *attribute, const char *value)
{
	autofree char *path = fake_client_path(&client, name);

	if (setxattr(path, attribute, value, strlen(value), 0) < 0)
		cr_assert_eq(errno, EOPNOTSUPP, "a tmpfs of an older kernel");
}

Test(fs, a_name_that_leaves_the_directory_is_refused)
{
	static const char *const names[] = { "..", ".", "", "a/b", "/etc", "../x" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		cr_expect_eq(call_name(FUSE_LOOKUP, names[i]), -EINVAL, "\"%s\"", names[i]);
		cr_expect_eq(call_name(FUSE_UNLINK, names[i]), -EINVAL, "\"%s\"", names[i]);
	}
}

Test(fs, a_name_without_an_end_is_refused)
{
	cr_assert_eq(fake_client_send(&client, FUSE_LOOKUP, FUSE_ROOT_ID, "name", 4), -EINVAL);
	cr_assert_eq(fake_client_send(&client, FUSE_LOOKUP, FUSE_ROOT_ID, "", 0), -EINVAL);
}

Test(fs, a_name_that_is_too_long_is_refused)
{
	char name[300];

	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	cr_assert_eq(call_name(FUSE_LOOKUP, name), -ENAMETOOLONG);
}

Test(fs, a_link_is_a_node_and_is_never_followed)
{
	autofree char *path = fake_client_path(&client, "link");
	const struct fuse_entry_out *out = (void *)client.answer;
	uint64_t node;

	cr_assert_eq(symlink("/etc/passwd", path), 0);
	node = fake_client_lookup(&client, "link");
	cr_assert(S_ISLNK(out->attr.mode));
	cr_assert_eq(fake_client_open(&client, node, O_RDONLY, NULL), -ENXIO);
	cr_assert_eq(fake_client_send(&client, FUSE_READLINK, node, NULL, 0), 0);
	cr_assert_eq(client.answer_size, strlen("/etc/passwd"));
	cr_assert_eq(memcmp(client.answer, "/etc/passwd", client.answer_size), 0);
}

Test(fs, a_fifo_is_never_opened)
{
	autofree char *path = fake_client_path(&client, "fifo");
	const struct fuse_create_in in = { .flags = O_RDONLY, .mode = 0644 };

	cr_assert_eq(mkfifo(path, 0600), 0);
	cr_assert_eq(fake_client_open(&client, fake_client_lookup(&client, "fifo"), O_RDONLY, NULL),
	             -ENXIO);
	cr_assert_eq(
		fake_client_call(&client, FUSE_CREATE, FUSE_ROOT_ID, &in, sizeof(in), "fifo", NULL),
		-ENXIO);
}

Test(fs, what_it_does_not_serve_is_enosys)
{
	cr_assert_eq(fake_client_send(&client, FUSE_FLUSH, FUSE_ROOT_ID, NULL, 0), -ENOSYS);
	cr_assert_eq(fake_client_send(&client, FUSE_ACCESS, FUSE_ROOT_ID, NULL, 0), -ENOSYS);
	cr_assert_eq(fake_client_send(&client, 4096, FUSE_ROOT_ID, NULL, 0), -ENOSYS);
}

Test(fs, arguments_that_are_too_short_are_refused)
{
	for (uint32_t opcode = 1; opcode < 64; opcode++) {
		int r = fake_client_send(&client, opcode, FUSE_ROOT_ID, "", 1);

		cr_expect_leq(r, 0);
		if (opcode == FUSE_WRITE || opcode == FUSE_SETATTR || opcode == FUSE_CREATE)
			cr_expect_eq(r, -EINVAL, "opcode %u", opcode);
	}
}

Test(fs, a_body_that_is_too_long_is_refused)
{
	autofree char *body = mem_alloc(80 << 10);

	memset(body, 'x', 80 << 10);
	cr_assert_eq(fake_client_send(&client, FUSE_LOOKUP, FUSE_ROOT_ID, body, 80 << 10), -E2BIG);
}

Test(fs, a_node_that_was_not_given_is_stale)
{
	static const uint64_t nodes[] = { 0, 2, 1ULL << 32 | 1, UINT64_MAX };

	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++)
		cr_expect_eq(fake_client_send(&client, FUSE_GETATTR, nodes[i], NULL, 0), -ESTALE);
}

Test(fs, a_node_is_forgotten_with_its_last_lookup)
{
	const struct fuse_forget_in two = { .nlookup = 2 };
	uint64_t node;

	fake_client_host_write(&client, "file", "x");
	node = fake_client_lookup(&client, "file");
	cr_assert_eq(fake_client_lookup(&client, "file"), node);
	cr_assert_eq(fake_client_lookup(&client, "file"), node);
	fake_client_send(&client, FUSE_FORGET, node, &two, sizeof(two));
	cr_assert_eq(fake_client_send(&client, FUSE_GETATTR, node, NULL, 0), 0);
	fake_client_send(&client, FUSE_FORGET, node, &two, sizeof(two));
	cr_assert_eq(fake_client_send(&client, FUSE_GETATTR, node, NULL, 0), -ESTALE);
	cr_assert_neq(fake_client_lookup(&client, "file"), node, "a number is given once");
}

Test(fs, a_handle_that_was_not_given_is_refused)
{
	const struct fuse_read_in in = { .fh = 17, .size = 100 };

	cr_assert_eq(fake_client_send(&client, FUSE_READ, FUSE_ROOT_ID, &in, sizeof(in)), -EBADF);
	cr_assert_eq(fake_client_send(&client, FUSE_READDIR, FUSE_ROOT_ID, &in, sizeof(in)),
	             -EBADF);
	cr_assert_eq(fake_client_write(&client, FUSE_ROOT_ID, 17, 0, "x", 0, 0), -EBADF);
}

Test(fs, reads_no_more_than_there_is_room_for)
{
	struct fuse_read_in in = { .size = UINT32_MAX };
	uint64_t node;

	fake_client_host_write(&client, "file", "abcdef");
	node = fake_client_lookup(&client, "file");
	in.fh = (uint64_t)fake_client_open(&client, node, O_RDONLY, NULL);
	in.offset = 2;
	cr_assert_eq(fake_client_send(&client, FUSE_READ, node, &in, sizeof(in)), 0);
	cr_assert_eq(client.answer_size, 4);
	cr_assert_eq(memcmp(client.answer, "cdef", 4), 0);
}

Test(fs, what_is_appended_goes_to_the_end_and_what_is_written_back_to_its_place)
{
	uint64_t node;
	int64_t handle;

	fake_client_host_write(&client, "file", "abcdef");
	node = fake_client_lookup(&client, "file");
	handle = fake_client_open(&client, node, O_RDWR | O_APPEND, NULL);
	cr_assert_eq(fake_client_write(&client, node, (uint64_t)handle, 0, "+", O_APPEND, 0), 0);
	expect_file("file", "abcdef+");
	cr_assert_eq(fake_client_write(&client, node, (uint64_t)handle, 1, "X", O_APPEND,
	                               FUSE_WRITE_CACHE),
	             0);
	expect_file("file", "aXcdef+");
}

Test(fs, pages_are_kept_until_the_host_has_changed_the_file)
{
	uint32_t flags = 0;
	uint64_t node;

	fake_client_host_write(&client, "file", "one");
	node = fake_client_lookup(&client, "file");
	cr_assert_geq(fake_client_open(&client, node, O_RDONLY, &flags), 0);
	cr_assert_not(flags & FOPEN_KEEP_CACHE);
	cr_assert_geq(fake_client_open(&client, node, O_RDONLY, &flags), 0);
	cr_assert(flags & FOPEN_KEEP_CACHE);
	fake_client_host_write(&client, "file", "three");
	node = fake_client_lookup(&client, "file");
	cr_assert_geq(fake_client_open(&client, node, O_RDONLY, &flags), 0);
	cr_assert_not(flags & FOPEN_KEEP_CACHE);
}

Test(fs, a_file_that_the_host_has_removed_is_stale)
{
	const struct fuse_setattr_in truncate = { .valid = FATTR_SIZE };
	uint64_t node;

	fake_client_host_write(&client, "file", "x");
	node = fake_client_lookup(&client, "file");
	host_removes("file");
	cr_assert_eq(fake_client_open(&client, node, O_WRONLY, NULL), -ESTALE);
	cr_assert_eq(fake_client_send(&client, FUSE_SETATTR, node, &truncate, sizeof(truncate)),
	             -ESTALE);
}

Test(fs, a_process_that_was_told_and_comes_back_has_the_file)
{
	uint64_t node;

	fake_client_host_write(&client, "file", "x");
	node = fake_client_lookup(&client, "file");
	host_removes("file");
	client.pid = 10;
	cr_assert_eq(fake_client_open(&client, node, O_RDONLY, NULL), -ESTALE);
	cr_assert_geq(fake_client_open(&client, node, O_RDONLY, NULL), 0);
	client.pid = 11;
	cr_assert_eq(fake_client_open(&client, node, O_RDONLY, NULL), -ESTALE);
}

Test(fs, a_file_that_the_guest_has_removed_goes_on)
{
	uint64_t node;

	fake_client_host_write(&client, "file", "x");
	node = fake_client_lookup(&client, "file");
	cr_assert_eq(call_name(FUSE_UNLINK, "file"), 0);
	cr_assert_geq(fake_client_open(&client, node, O_RDWR, NULL), 0);
}

Test(fs, a_file_that_the_guest_has_replaced_goes_on)
{
	const struct fuse_rename_in in = { .newdir = FUSE_ROOT_ID };
	uint64_t node;

	fake_client_host_write(&client, "file", "x");
	fake_client_host_write(&client, "other", "y");
	node = fake_client_lookup(&client, "file");
	cr_assert_eq(fake_client_call(&client, FUSE_RENAME, FUSE_ROOT_ID, &in, sizeof(in), "other",
	                              "file"),
	             0);
	cr_assert_geq(fake_client_open(&client, node, O_RDWR, NULL), 0);
	expect_file("file", "y");
}

Test(fs, a_link_that_the_host_has_replaced_is_stale)
{
	autofree char *path = fake_client_path(&client, "link");
	uint64_t node;

	cr_assert_eq(symlink("old", path), 0);
	node = fake_client_lookup(&client, "link");
	host_removes("link");
	cr_assert_eq(fake_client_send(&client, FUSE_READLINK, node, NULL, 0), -ESTALE);
}

Test(fs, a_directory_is_read_from_any_of_its_offsets)
{
	const struct fuse_open_in open_in = { .flags = O_RDONLY };
	const struct fuse_open_out *open_out = (void *)client.answer;
	const struct fuse_dirent *entry = (void *)client.answer;
	struct fuse_read_in in = { .size = 4096 };
	unsigned int count = 0;
	size_t all;

	fake_client_host_write(&client, "one", "1");
	fake_client_host_write(&client, "two", "2");
	cr_assert_eq(
		fake_client_send(&client, FUSE_OPENDIR, FUSE_ROOT_ID, &open_in, sizeof(open_in)),
		0);
	in.fh = open_out->fh;
	cr_assert_eq(fake_client_send(&client, FUSE_READDIR, FUSE_ROOT_ID, &in, sizeof(in)), 0);
	all = client.answer_size;
	in.size = 32; /* one at a time: the shortest names have 24 and 8 bytes */
	do {
		cr_assert_eq(fake_client_send(&client, FUSE_READDIR, FUSE_ROOT_ID, &in, sizeof(in)),
		             0);
		count += client.answer_size > 0;
		in.offset = entry->off;
	} while (client.answer_size);
	cr_assert_eq(count, 4);
	in = (struct fuse_read_in){ .fh = in.fh, .size = 4096 };
	cr_assert_eq(fake_client_send(&client, FUSE_READDIR, FUSE_ROOT_ID, &in, sizeof(in)), 0);
	cr_assert_eq(client.answer_size, all);
}

Test(fs, the_umask_is_the_callers)
{
	const struct fuse_mkdir_in in = { .mode = 0777, .umask = 027 };
	const struct fuse_entry_out *out = (void *)client.answer;

	cr_assert_eq(
		fake_client_call(&client, FUSE_MKDIR, FUSE_ROOT_ID, &in, sizeof(in), "dir", NULL),
		0);
	cr_assert_eq(out->attr.mode & 07777, 0750);
}

Test(fs, nothing_is_served_before_the_guest_has_begun)
{
	fs_reset(&client.fs);
	cr_assert_eq(fake_client_send(&client, FUSE_GETATTR, FUSE_ROOT_ID, NULL, 0), -EIO);
}

Test(fs, a_guest_that_begins_anew_has_nothing)
{
	uint64_t node;

	fake_client_host_write(&client, "file", "x");
	node = fake_client_lookup(&client, "file");
	cr_assert_eq(fake_client_send(&client, FUSE_DESTROY, 0, NULL, 0), 0);
	cr_assert_eq(fake_client_send(&client, FUSE_GETATTR, node, NULL, 0), -EIO);
}

Test(fs, an_answer_for_which_there_is_no_room_is_refused)
{
	const struct fuse_create_in in = { .flags = O_RDWR, .mode = 0644 };

	fake_client_host_write(&client, "there", "x");
	client.room = sizeof(struct fuse_open_out); /* but not of what comes before it */
	cr_assert_eq(
		fake_client_call(&client, FUSE_CREATE, FUSE_ROOT_ID, &in, sizeof(in), "new", NULL),
		-EINVAL);
	cr_assert_eq(fake_client_call(&client, FUSE_CREATE, FUSE_ROOT_ID, &in, sizeof(in), "there",
	                              NULL),
	             -EINVAL);
	cr_assert_eq(
		fake_client_call(&client, FUSE_TMPFILE, FUSE_ROOT_ID, &in, sizeof(in), "t", NULL),
		-EINVAL);
	client.room = ANSWER_MAX;
	cr_assert_eq(fake_client_lookup(&client, "new"), 0, "nothing was made");
}

Test(fs, a_value_for_which_there_is_no_room_is_refused)
{
	const struct fuse_getxattr_in in = { .size = 100 };
	autofree char *path = fake_client_path(&client, "link");
	uint64_t node;

	fake_client_host_write(&client, "file", "x");
	node = fake_client_lookup(&client, "file");
	host_sets_attribute("file", "user.name", "value");
	client.room = 0;
	cr_assert_eq(
		fake_client_call(&client, FUSE_GETXATTR, node, &in, sizeof(in), "user.name", NULL),
		-ERANGE);
	cr_assert_eq(fake_client_send(&client, FUSE_LISTXATTR, node, &in, sizeof(in)), -ERANGE);
	client.room = ANSWER_MAX;
	cr_assert_eq(symlink("target", path), 0);
	node = fake_client_lookup(&client, "link");
	client.room = 0;
	cr_assert_eq(fake_client_send(&client, FUSE_READLINK, node, NULL, 0), -EINVAL);
}

Test(fs, a_user_that_cannot_be_changes_nothing_for_others)
{
	const struct fuse_mkdir_in in = { .mode = 0755 };
	const struct fuse_entry_out *out = (void *)client.answer;

	client.uid = UINT32_MAX; /* no user at all */
	client.gid = 1000;
	cr_assert_eq(
		fake_client_call(&client, FUSE_MKDIR, FUSE_ROOT_ID, &in, sizeof(in), "one", NULL),
		-EPERM);
	client.uid = client.gid = 0;
	cr_assert_eq(
		fake_client_call(&client, FUSE_MKDIR, FUSE_ROOT_ID, &in, sizeof(in), "two", NULL),
		0);
	cr_assert_eq(out->attr.gid, 0);
	client.uid = 1000;
	client.gid = UINT32_MAX;
	cr_assert_eq(
		fake_client_call(&client, FUSE_MKDIR, FUSE_ROOT_ID, &in, sizeof(in), "one", NULL),
		-EPERM);
	client.uid = client.gid = 0;
	cr_assert_eq(
		fake_client_call(&client, FUSE_MKDIR, FUSE_ROOT_ID, &in, sizeof(in), "one", NULL),
		0);
	cr_assert_eq(out->attr.uid, 0);
}

/* The handle of the root directory. */
static uint64_t open_root(void)
{
	const struct fuse_open_in in = { .flags = O_RDONLY };
	const struct fuse_open_out *out = (void *)client.answer;

	cr_assert_eq(fake_client_send(&client, FUSE_OPENDIR, FUSE_ROOT_ID, &in, sizeof(in)), 0);
	return out->fh;
}

/* One entry of a directory, whose name is short; its offset goes on. False: the end. */
static bool read_entry(struct fuse_read_in *in)
{
	const struct fuse_dirent *entry = (void *)client.answer;

	in->size = 32;
	cr_assert_eq(fake_client_send(&client, FUSE_READDIR, FUSE_ROOT_ID, in, sizeof(*in)), 0);
	in->offset = entry->off;
	return client.answer_size > 0;
}

Test(fs, directories_that_are_read_at_once_have_few_buffers)
{
	struct fuse_read_in in[2UL * FS_LISTINGS_MAX];

	fake_client_host_write(&client, "one", "1");
	fake_client_host_write(&client, "two", "2");
	for (size_t i = 0; i < 2UL * FS_LISTINGS_MAX; i++)
		in[i] = (struct fuse_read_in){ .fh = open_root() };
	for (int entry = 0; entry < 4; entry++) {
		for (size_t i = 0; i < 2UL * FS_LISTINGS_MAX; i++)
			cr_expect(read_entry(&in[i]), "entry %d of directory %zu", entry, i);
		cr_expect_eq(client.fs.listings_count, entry < 3 ? FS_LISTINGS_MAX : 0,
		             "one that has been read to its end needs none");
	}
	for (size_t i = 0; i < 2UL * FS_LISTINGS_MAX; i++)
		cr_expect_not(read_entry(&in[i]));
}

Test(fs, a_guest_that_has_too_many_files_leaves_descriptors_for_others)
{
	const struct fuse_mkdir_in mkdir_in = { .mode = 0755 };
	const struct fuse_forget_in forget = { .nlookup = 1 };
	uint64_t nodes[100];
	autofree char *path = fake_client_path(&client, "new");
	int r = 0;

	client.fs.descriptors_max = 50;
	for (int i = 0; i < 100; i++) {
		autofree char *name = mem_printf("%d", i);

		fake_client_host_write(&client, name, "x");
		nodes[i] = fake_client_lookup(&client, name);
	}
	cr_assert_neq(nodes[0], 0);
	cr_assert_eq(nodes[99], 0);
	cr_assert_eq(client.fs.inodes.count, 50);
	cr_expect_eq(call_name(FUSE_LOOKUP, "99"), -ENFILE);
	cr_expect_eq(call_name(FUSE_LOOKUP, "0"), 0, "what it has it has");
	cr_expect_eq(fake_client_open(&client, nodes[0], O_RDONLY, NULL), -ENFILE);
	r = fake_client_call(&client, FUSE_MKDIR, FUSE_ROOT_ID, &mkdir_in, sizeof(mkdir_in), "new",
	                     NULL);
	cr_expect_eq(r, -ENFILE);
	cr_expect_neq(access(path, F_OK), 0, "nothing was made");
	fake_client_send(&client, FUSE_FORGET, nodes[1], &forget, sizeof(forget));
	cr_expect_eq(call_name(FUSE_LOOKUP, "99"), 0);
}
