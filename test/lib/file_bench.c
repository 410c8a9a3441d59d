/*
 * What files cost in a container, for test/bench/files.py: each line of standard input is the name
 * of a measurement, its folder and a number; the answer is one line, the milliseconds it took.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PER_FOLDER 100
#define SMALL      300 /* bytes of a small file */
#define BLOCK      (16 << 10)
#define CHUNK      (1 << 20)
#define PAGE       4096
#define LIBRARY    10 /* each so many-th module */

struct measurement {
	const char *name;
	void (*prepare)(const char *dir, int n); /* NULL: nothing to do */
	void (*run)(const char *dir, int n);
};

static char buffer[CHUNK];

static void check(bool fine, const char *what)
{
	if (fine)
		return;
	perror(what);
	exit(1);
}

static const char *path_of(const char *dir, int i)
{
	static char path[500];

	snprintf(path, sizeof(path), "%s/%d/%d", dir, i / PER_FOLDER, i % PER_FOLDER);
	return path;
}

static const char *folder_of(const char *dir, int i)
{
	static char path[500];

	snprintf(path, sizeof(path), "%s/%d", dir, i / PER_FOLDER);
	return path;
}

static const char *large(const char *dir)
{
	static char path[500];

	snprintf(path, sizeof(path), "%s/large", dir);
	return path;
}

static int open_file(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0644);

	check(fd >= 0, path);
	return fd;
}

static void run_stat(const char *dir, int n)
{
	struct stat st;

	for (int i = 0; i < n; i++)
		check(stat(path_of(dir, i), &st) == 0, "stat");
}

static void run_read(const char *dir, int n)
{
	for (int i = 0; i < n; i++) {
		int fd = open_file(path_of(dir, i), O_RDONLY);

		check(read(fd, buffer, sizeof(buffer)) == SMALL, "read");
		close(fd);
	}
}

/*
 * What an interpreter does that loads @n modules of @dir, as CPython does it: each is looked for in
 * the places before (a library, a source, a folder), then found with its compiled form, which is
 * read whole; each tenth is a library, which is mapped.
 */
static void load(const char *path, int i)
{
	struct stat st;
	int fd = open_file(path, O_RDONLY);

	check(fstat(fd, &st) == 0, "fstat");
	if (i % LIBRARY == 0) {
		char *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);

		check(map != MAP_FAILED, "mmap");
		for (off_t at = 0; at < st.st_size; at += PAGE)
			buffer[0] = map[at];
		munmap(map, (size_t)st.st_size);
	} else {
		check(read(fd, buffer, sizeof(buffer)) == st.st_size, "read");
	}
	close(fd);
}

static void run_load(const char *dir, int n)
{
	static const char *const places[] = { "first", "second", "third" };
	static const char *const forms[] = { "", ".so", ".py" };
	struct stat st;
	char path[500];

	for (int i = 0; i < n; i++) {
		for (size_t place = 0; place < sizeof(places) / sizeof(places[0]); place++)
			for (size_t form = 0; form < sizeof(forms) / sizeof(forms[0]); form++) {
				snprintf(path, sizeof(path), "%s/%s/%d%s", dir, places[place], i,
				         forms[form]);
				check(stat(path, &st) < 0, path);
			}
		check(stat(path_of(dir, i), &st) == 0, "stat");
		load(path_of(dir, i), i);
	}
}

/* As tar(1) makes each file. */
static void run_unpack(const char *dir, int n)
{
	const struct timespec times[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };

	check(mkdir(dir, 0755) == 0, dir);
	for (int i = 0; i < n; i++) {
		int fd;

		if (i % PER_FOLDER == 0)
			check(mkdir(folder_of(dir, i), 0755) == 0, "mkdir");
		fd = open_file(path_of(dir, i), O_WRONLY | O_CREAT | O_EXCL);
		check(write(fd, buffer, SMALL) == SMALL, "write");
		check(futimens(fd, times) == 0 && fchown(fd, 0, 0) == 0 && fchmod(fd, 0644) == 0,
		      "attributes");
		close(fd);
	}
}

static void run_remove(const char *dir, int n)
{
	for (int i = 0; i < n; i++)
		check(unlink(path_of(dir, i)) == 0, "unlink");
	for (int i = 0; i < n; i += PER_FOLDER)
		check(rmdir(folder_of(dir, i)) == 0, "rmdir");
	check(rmdir(dir) == 0, dir);
}

static void run_write(const char *dir, int n)
{
	int fd = open_file(large(dir), O_WRONLY | O_CREAT | O_TRUNC);

	for (int i = 0; i < n; i++)
		check(write(fd, buffer, CHUNK) == CHUNK, "write");
	check(fsync(fd) == 0 && posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0, "fsync");
	close(fd);
}

static void forget(const char *dir, int n)
{
	int fd = open_file(large(dir), O_RDONLY);

	(void)n;
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
}

static void run_read_all(const char *dir, int n)
{
	int fd = open_file(large(dir), O_RDONLY);

	for (int i = 0; i < n; i++)
		check(read(fd, buffer, CHUNK) == CHUNK, "read");
	close(fd);
}

static void run_random(const char *dir, int n)
{
	int fd = open_file(large(dir), O_RDONLY);
	off_t blocks = lseek(fd, 0, SEEK_END) / BLOCK;

	srand(1);
	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	for (int i = 0; i < n; i++)
		check(pread(fd, buffer, BLOCK, rand() % blocks * BLOCK) == BLOCK, "pread");
	close(fd);
}

static void run_drop(const char *dir, int n)
{
	(void)n;
	check(unlink(large(dir)) == 0, "unlink");
}

static void run_fsync(const char *dir, int n)
{
	int fd = open_file(large(dir), O_WRONLY);

	for (int i = 0; i < n; i++)
		check(pwrite(fd, buffer, BLOCK, 0) == BLOCK && fsync(fd) == 0, "fsync");
	close(fd);
}

static void run_exec(const char *dir, int n)
{
	for (int i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			execl(dir, dir, (char *)NULL);
			_exit(1);
		}
		check(pid > 0 && waitpid(pid, NULL, 0) == pid, "fork");
	}
}

static const struct measurement measurements[] = {
	{ "stat", NULL, run_stat },       { "read", NULL, run_read },
	{ "unpack", NULL, run_unpack },   { "remove", NULL, run_remove },
	{ "write-all", NULL, run_write }, { "read-all", forget, run_read_all },
	{ "random", forget, run_random }, { "fsync", NULL, run_fsync },
	{ "exec", NULL, run_exec },       { "load", NULL, run_load },
	{ "drop", NULL, run_drop },       { 0 },
};

static double measure(const struct measurement *one, const char *dir, int n)
{
	struct timespec begin, end;

	if (one->prepare)
		one->prepare(dir, n);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	one->run(dir, n);
	clock_gettime(CLOCK_MONOTONIC, &end);
	return 1e3 * (double)(end.tv_sec - begin.tv_sec) +
	       1e-6 * (double)(end.tv_nsec - begin.tv_nsec);
}

int main(void)
{
	char name[20], dir[200];
	int n;

	memset(buffer, 'x', sizeof(buffer));
	while (scanf("%19s %199s %d", name, dir, &n) == 3) {
		const struct measurement *one = measurements;

		while (one->name && strcmp(one->name, name) != 0)
			one++;
		check(one->name, name);
		printf("%.1f\n", measure(one, dir, n));
		fflush(stdout);
	}
	return 0;
}
