/*
 * What a program does with files, for test/e2e/test_files.py: each line of standard input is a
 * command, "WORD ARGUMENT...", which is answered by one line; an error is its name (ENOENT).
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define MEMBER 1002 /* the uid and gid of one who is in GROUP, too */
#define GROUP  1001
#define BLOCK  4096
#define WORDS  8

struct command {
	const char *word;
	int nargs;
	void (*run)(char **args);
};

static const char *name_of(int r)
{
	return r < 0 ? strerrorname_np(errno) : "ok";
}

static char *in(const char *dir, const char *name)
{
	static char paths[4][500];
	static unsigned int next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

/* The first line of a file, "" if there is none. */
static int read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	*text = 0;
	if (fd < 0)
		return -1;
	n = read(fd, text, size - 1);
	text[n > 0 ? n : 0] = 0;
	text[strcspn(text, "\n")] = 0;
	close(fd);
	return n < 0 ? -1 : 0;
}

static void run_read(char **args)
{
	char text[200];

	puts(read_file(args[0], text, sizeof(text)) < 0 ? name_of(-1) : text);
}

static void put(const char *path, const char *text, int flags)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0644);

	puts(name_of(fd < 0 || write(fd, text, strlen(text)) < 0 || close(fd) < 0 ? -1 : 0));
}

static void run_write(char **args)
{
	put(args[0], args[1], O_TRUNC);
}

static void run_append(char **args)
{
	put(args[0], args[1], O_APPEND);
}

/* Fills a file through a mapping while it is open for appending. */
static void run_append_map(char **args)
{
	int fd = open(args[0], O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	char *map;

	if (fd < 0 || ftruncate(fd, 1024) < 0 ||
	    (map = mmap(NULL, 1024, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)) == MAP_FAILED) {
		puts(name_of(-1));
		return;
	}
	memset(map, 'x', 1024);
	puts(name_of(msync(map, 1024, MS_SYNC)));
	munmap(map, 1024);
	close(fd);
}

static int make_socket(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, path);
	return fd < 0 ? fd : bind(fd, (struct sockaddr *)&address, sizeof(address));
}

static void make_all(const char *dir)
{
	printf("file %s, ", name_of(open(in(dir, "file"), O_WRONLY | O_CREAT | O_EXCL, 0644)));
	printf("folder %s, ", name_of(mkdir(in(dir, "folder"), 0755)));
	printf("link %s, ", name_of(symlink("file", in(dir, "link"))));
	printf("fifo %s, ", name_of(mkfifo(in(dir, "fifo"), 0644)));
	printf("socket %s\n", name_of(make_socket(in(dir, "socket"))));
}

/* In a folder of GROUP's, by a process that has it as a supplementary group. */
static void run_make_as_member(char **args)
{
	const gid_t group = GROUP;
	pid_t pid = fork();

	if (pid > 0) {
		waitpid(pid, NULL, 0);
		return;
	}
	if (setgroups(1, &group) < 0 || setgid(MEMBER) < 0 || setuid(MEMBER) < 0)
		puts(name_of(-1));
	else
		make_all(args[0]);
	fflush(stdout);
	_exit(0);
}

/* A file without a name, which gets one. */
static void run_tmpfile(char **args)
{
	int fd = open(args[0], O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	char self[40];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	puts(name_of(fd < 0 || write(fd, "text", 4) < 0 ||
	                             linkat(AT_FDCWD, self, AT_FDCWD, in(args[0], "linked"),
	                                    AT_SYMLINK_FOLLOW) < 0
	                     ? -1
	                     : close(fd)));
}

static void run_xattr(char **args)
{
	int fd = open(args[0], O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	char value[10] = "";

	if (fd < 0 || close(fd) < 0 || setxattr(args[0], "user.key", "value", 5, 0) < 0 ||
	    getxattr(args[0], "user.key", value, sizeof(value) - 1) < 0)
		puts(name_of(-1));
	else
		puts(value);
}

static void run_direct(char **args)
{
	int fd = open(args[0], O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0644);
	char *block = aligned_alloc(BLOCK, BLOCK);

	memset(block, 'x', BLOCK);
	if (fd < 0 || pwrite(fd, block, BLOCK, 0) != BLOCK || pread(fd, block, BLOCK, 0) != BLOCK)
		puts(name_of(-1));
	else
		printf("%c\n", block[BLOCK - 1]);
	close(fd);
	free(block);
}

/* Reads a file over and over until its text is @args[1]: how many reads failed, and how. */
static void run_follow(char **args)
{
	unsigned long n = 0, failed = 0;
	char text[200] = "";
	char why[20] = "";

	puts("begins");
	fflush(stdout);
	for (; strcmp(text, args[1]) != 0; n++) {
		if (read_file(args[0], text, sizeof(text)) == 0 && *text)
			continue;
		snprintf(why, sizeof(why), ": %s", name_of(-1));
		failed++;
	}
	fprintf(stderr, "%lu reads\n", n);
	printf("%lu failed%s\n", failed, why);
}

static const struct command commands[] = {
	{ "read", 1, run_read },
	{ "write", 2, run_write },
	{ "append", 2, run_append },
	{ "append-map", 1, run_append_map },
	{ "make-as-member", 1, run_make_as_member },
	{ "tmpfile", 1, run_tmpfile },
	{ "xattr", 1, run_xattr },
	{ "direct", 1, run_direct },
	{ "follow", 2, run_follow },
	{ 0 },
};

static void run(char *line)
{
	char *words[WORDS] = { 0 };
	int n = 0;

	for (char *word = strtok(line, " \n"); word && n < WORDS; word = strtok(NULL, " \n"))
		words[n++] = word;
	for (const struct command *command = commands; n && command->word; command++)
		if (strcmp(command->word, words[0]) == 0 && command->nargs == n - 1) {
			command->run(words + 1);
			return;
		}
	puts("no such command");
}

int main(void)
{
	char *line = NULL;
	size_t size = 0;

	umask(022);
	while (getline(&line, &size, stdin) > 0) {
		run(line);
		fflush(stdout);
	}
	free(line);
	return 0;
}
