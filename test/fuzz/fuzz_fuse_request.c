/*
 * A guest that sends anything to the file server: its requests, in pieces of any size, on a
 * directory that is the only one it may reach.
 */
#include <assert.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"
#include "hypervisor/fs/fs.h"
#include "test/fuzz/fuzz.h"

#define STEPS      64
#define ANSWER_MAX 8192
#define FILE_MAX   (1 << 20) /* no larger one can be made */

static char dir[] = "/tmp/kata-fuzz-fs.XXXXXX";

static char *below(const char *name)
{
	return mem_printf("%s/%s", dir, name);
}

static void remove_dir(void)
{
	rmdir(dir);
}

/* Once for all inputs. */
static void make_dir(void)
{
	const struct rlimit limit = { FILE_MAX, FILE_MAX };
	static bool made;

	if (made)
		return;
	made = true;
	signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &limit) < 0 || !mkdtemp(dir) || chdir("/proc/self/fd") < 0)
		abort();
	atexit(remove_dir);
}

static void make_world(struct fs *fs)
{
	autofree char *share = below("share");
	autofree char *file = below("share/file");
	autofree char *link = below("share/link");
	autofree char *outside = below("outside");

	umask(0);
	if (mkdir(share, 0755) < 0 || file_write(AT_FDCWD, file, 0644, "text", 4, NULL) < 0 ||
	    symlink("../outside", link) < 0 ||
	    file_write(AT_FDCWD, outside, 0644, "text", 4, NULL) < 0)
		abort();
	fs_init(fs, open(share, O_PATH | O_CLOEXEC), FS_CACHE_AUTO, NULL);
}

/* Nothing but the share has changed. */
static void check_outside(void)
{
	autofree char *outside = below("outside");
	autofree char *text = NULL;

	assert(file_read(AT_FDCWD, outside, 100, &text, NULL) >= 0);
	assert(strcmp(text, "text") == 0);
}

static void serve(struct fs *fs, struct fuse_in_header *header, const void *body, size_t size,
                  size_t room)
{
	static char answer[ANSWER_MAX];
	size_t cut = size / 2;
	struct iovec iov[] = {
		{ header, 13 },
		{ (char *)header + 13, sizeof(*header) - 13 },
		{ (char *)body, cut },
		{ (char *)body + cut, size - cut },
		{ answer, room < 7 ? room : 7 },
		{ answer + 7, room < 7 ? 0 : room - 7 },
	};

	assert(fs_serve(fs, iov, 4, 6) <= (room > 0 ? ANSWER_MAX : 0));
}

static void begin(struct fs *fs)
{
	struct fuse_init_in in = { .major = FUSE_KERNEL_VERSION, .flags = ~0U };
	struct fuse_in_header header = { .opcode = FUSE_INIT };

	serve(fs, &header, &in, sizeof(in), ANSWER_MAX);
}

/* What would fill the disk, or wait for it, is left out. */
static bool is_harmless(uint32_t opcode)
{
	return opcode != FUSE_FALLOCATE && opcode != FUSE_SYNCFS && opcode != FUSE_FSYNC &&
	       opcode != FUSE_FSYNCDIR;
}

static void step(struct fs *fs, struct script *script)
{
	struct fuse_in_header header = {
		.opcode = script_byte(script) % 64,
		.nodeid = script_byte(script),
		.uid = script_byte(script) % 2,
	};
	size_t room = script_byte(script) * 32UL;
	size_t size;
	const uint8_t *bytes = script_bytes(script, &size);
	autofree void *body = mem_alloc(size + 1); /* of its own: what is read past it is found */

	if (size)
		memcpy(body, bytes, size);
	if (is_harmless(header.opcode))
		serve(fs, &header, body, size, room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script script = { data, size };
	struct fs fs;

	make_dir();
	make_world(&fs);
	if (script_byte(&script) % 8)
		begin(&fs);
	for (int i = 0; i < STEPS && script.left; i++)
		step(&fs, &script);
	caller_become(&fs.caller, 0, 0);
	fs_fini(&fs);
	check_outside();
	if (file_remove_tree(AT_FDCWD, dir, NULL) < 0 || mkdir(dir, 0700) < 0)
		abort();
	return 0;
}
