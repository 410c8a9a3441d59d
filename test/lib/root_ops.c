/*
 * What a program does with a file system, for test/e2e/test_snapshotters.py: "DIR N" tries each
 * operation in a new directory DIR, with N small files, and prints a line for each, "NAME: OUTCOME".
 * An error is its name (ENOENT). "euid" prints the effective user: see set_uid().
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define USER    1000
#define BLOCK   4096
#define MIB     (1 << 20)
#define OUTCOME 100

static char outcome[OUTCOME];
static int small_files;

static const char *error(void)
{
	snprintf(outcome, sizeof(outcome), "%s", strerrorname_np(errno));
	return outcome;
}

static const char *result(bool fine)
{
	return fine ? "ok" : error();
}

static int make(const char *name)
{
	return open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
}

static const char *append_by_a_mapping(void)
{
	int fd = open("mapped", O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	char *map = MAP_FAILED;
	struct stat st;

	if (fd < 0 || ftruncate(fd, 1024) < 0)
		return error();
	map = mmap(NULL, 1024, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return error();
	memset(map, 'x', 1024);
	if (msync(map, 1024, MS_SYNC) < 0 || fstat(fd, &st) < 0)
		return error();
	snprintf(outcome, sizeof(outcome), "%ld bytes", (long)st.st_size);
	return outcome;
}

static const char *nameless(void)
{
	int fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	char self[40];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return result(fd >= 0 && linkat(AT_FDCWD, self, AT_FDCWD, "named", AT_SYMLINK_FOLLOW) == 0);
}

static const char *user_xattr(void)
{
	char value[10] = "";

	return result(close(make("attribute")) == 0 &&
	              setxattr("attribute", "user.key", "value", 5, 0) == 0 &&
	              getxattr("attribute", "user.key", value, sizeof(value)) == 5);
}

static const char *trusted_xattr(void)
{
	return result(setxattr("attribute", "trusted.key", "value", 5, 0) == 0);
}

/* CAP_CHOWN, in the file's permitted set. */
static const char *capability(void)
{
	struct vfs_cap_data data = { .magic_etc = VFS_CAP_REVISION_2, .data[0].permitted = 1 };

	return result(setxattr("attribute", "security.capability", &data, XATTR_CAPS_SZ_2, 0) == 0);
}

static int copy_self(const char *name)
{
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int to = make(name);
	struct stat st;

	if (from < 0 || to < 0 || fstat(from, &st) < 0 ||
	    sendfile(to, from, NULL, (size_t)st.st_size) != st.st_size)
		return -1;
	close(from);
	return close(to);
}

static const char *set_uid(void)
{
	int ends[2];
	ssize_t n;

	if (copy_self("set-uid") < 0 || chmod("set-uid", 04755) < 0 || pipe(ends) < 0)
		return error();
	if (fork() == 0) {
		dup2(ends[1], 1);
		if (setgid(USER) == 0 && setuid(USER) == 0)
			execl("set-uid", "set-uid", "euid", (char *)NULL);
		_exit(1);
	}
	close(ends[1]);
	wait(NULL);
	n = read(ends[0], outcome, sizeof(outcome) - 1);
	outcome[n > 0 ? n : 0] = 0;
	return outcome;
}

static const char *locks(void)
{
	struct flock lock = { .l_type = F_WRLCK };
	int one = make("lock");
	int two = open("lock", O_RDWR | O_CLOEXEC);

	if (flock(one, LOCK_EX) < 0 || fcntl(one, F_OFD_SETLK, &lock) < 0)
		return error();
	if (flock(two, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
		return "taken twice";
	return fcntl(two, F_OFD_SETLK, &lock) == 0 ? "taken twice" : "ok";
}

static const char *holes(void)
{
	int fd = make("sparse");

	if (ftruncate(fd, MIB) < 0 || pwrite(fd, "x", 1, MIB / 2) != 1)
		return error();
	snprintf(outcome, sizeof(outcome), "data at %ld", (long)lseek(fd, 0, SEEK_DATA));
	return outcome;
}

static const char *copy_range(void)
{
	int from = make("from");
	int to = make("to");
	off_t at = 0;

	if (ftruncate(from, MIB) < 0)
		return error();
	return result(copy_file_range(from, &at, to, NULL, MIB, 0) > 0);
}

static const char *allocation(void)
{
	int fd = make("allocated");

	return result(fallocate(fd, 0, 0, MIB) == 0);
}

static const char *renames(void)
{
	close(make("one"));
	close(make("two"));
	if (renameat2(AT_FDCWD, "one", AT_FDCWD, "two", RENAME_NOREPLACE) == 0 || errno != EEXIST)
		return "replaced";
	return result(renameat2(AT_FDCWD, "one", AT_FDCWD, "two", RENAME_EXCHANGE) == 0 &&
	              rename("one", "three") == 0 && mkdir("folder", 0755) == 0 &&
	              rename("folder", "other-folder") == 0);
}

static const char *special_files(void)
{
	struct stat st;

	return result(mkfifo("fifo", 0600) == 0 && symlink("fifo", "link") == 0 &&
	              link("three", "hard") == 0 && stat("hard", &st) == 0 && st.st_nlink == 2 &&
	              mknod("null", S_IFCHR | 0600, makedev(1, 3)) == 0);
}

static const char *owners(void)
{
	struct stat st;

	return result(chown("three", USER, USER) == 0 && chmod("three", 0640) == 0 &&
	              stat("three", &st) == 0 && st.st_uid == USER && (st.st_mode & 07777) == 0640);
}

static const char *without_a_cache(void)
{
	int fd = open("direct", O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0644);
	void *block = aligned_alloc(BLOCK, BLOCK);

	memset(block, 'x', BLOCK);
	return result(fd >= 0 && pwrite(fd, block, BLOCK, 0) == BLOCK &&
	              pread(fd, block, BLOCK, 0) == BLOCK);
}

static const char *notices(void)
{
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	char event[500];

	if (fd < 0 || inotify_add_watch(fd, ".", IN_CREATE) < 0)
		return error();
	close(make("noticed"));
	return result(read(fd, event, sizeof(event)) > 0);
}

static const char *an_open_file_that_is_removed(void)
{
	int fd = make("removed");
	char text[2] = "";

	return result(write(fd, "x", 1) == 1 && unlink("removed") == 0 &&
	              pread(fd, text, 1, 0) == 1 && *text == 'x');
}

static int count_entries(const char *dir)
{
	DIR *stream = opendir(dir);
	int n = 0;

	while (stream && readdir(stream))
		n++;
	closedir(stream);
	return n - 2;
}

static const char *many_small_files(void)
{
	char name[40];
	int found;

	mkdir("many", 0755);
	for (int i = 0; i < small_files; i++) {
		int fd;

		snprintf(name, sizeof(name), "many/%d", i);
		fd = make(name);
		if (fd < 0 || write(fd, name, 20) != 20 || close(fd) < 0)
			return error();
	}
	found = count_entries("many");
	for (int i = 0; i < small_files; i++) {
		snprintf(name, sizeof(name), "many/%d", i);
		if (unlink(name) < 0)
			return error();
	}
	return result(found == small_files && rmdir("many") == 0);
}

static const char *writing_to_disk(void)
{
	int fd = make("kept");

	return result(write(fd, "kept\n", 5) == 5 && fsync(fd) == 0 && close(fd) == 0);
}

static const struct {
	const char *name;
	const char *(*run)(void);
} operations[] = {
	{ "append by a mapping", append_by_a_mapping },
	{ "a file without a name", nameless },
	{ "an attribute of a user", user_xattr },
	{ "a trusted attribute", trusted_xattr },
	{ "a file capability", capability },
	{ "set-uid", set_uid },
	{ "locks", locks },
	{ "holes", holes },
	{ "copy_file_range", copy_range },
	{ "fallocate", allocation },
	{ "renames", renames },
	{ "special files", special_files },
	{ "owner and mode", owners },
	{ "O_DIRECT", without_a_cache },
	{ "inotify", notices },
	{ "an open file that is removed", an_open_file_that_is_removed },
	{ "many small files", many_small_files },
	{ "fsync", writing_to_disk },
};

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "euid") == 0) {
		printf("user %u", geteuid());
		return 0;
	}
	if (argc != 3 || mkdir(argv[1], 0755) < 0 || chdir(argv[1]) < 0) {
		perror(argv[1]);
		return 1;
	}
	umask(022);
	small_files = atoi(argv[2]);
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
		printf("%s: %s\n", operations[i].name, operations[i].run());
	return 0;
}
