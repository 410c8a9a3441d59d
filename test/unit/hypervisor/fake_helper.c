/*
 * A fake of QEMU, of virtiofsd and of the vsock device, by its arguments. What goes wrong is the
 * word after "fake=" in any of them:
 *   exit       says "broken" on stderr and exits with status 1 at once
 *   leave      closes its sockets first and does so a little later
 *   panic      prints a kernel panic to the console and exits with status 0
 *   poweroff   sends a SHUTDOWN event and exits with status 0
 *   nonsense   sends what is no QMP
 *   stubborn   does not quit when asked to
 */
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FDS_MAX 100

static int argc_;
static char **argv_;

/* The number after @key in some argument, or -1. */
static int number_after(const char *key)
{
	for (int i = 1; i < argc_; i++) {
		const char *at = strstr(argv_[i], key);

		if (at)
			return (int)strtol(at + strlen(key), NULL, 10);
	}
	return -1;
}

static bool is_told_to(const char *what)
{
	char word[32];

	snprintf(word, sizeof(word), "fake=%s", what);
	for (int i = 1; i < argc_; i++)
		if (strstr(argv_[i], word))
			return true;
	return false;
}

static void say(int fd, const char *text)
{
	if (write(fd, text, strlen(text)) < 0)
		_exit(2);
}

static int run_until_quit(int qmp)
{
	char command[1000];
	ssize_t n;

	while ((n = read(qmp, command, sizeof(command) - 1)) > 0) {
		command[n] = '\0';
		if (strstr(command, "\"qmp_capabilities\""))
			say(qmp, "{\"return\": {}, \"id\": 1}\n");
		if (strstr(command, "\"quit\"") && !is_told_to("stubborn"))
			return 0;
	}
	return 3;
}

/* As the end of a process does, but for its helpers to be noticed before it. */
static int leave(void)
{
	for (int fd = STDERR_FILENO + 1; fd < FDS_MAX; fd++)
		close(fd);
	usleep(20000);
	fprintf(stderr, "fake_helper: broken\n");
	return 1;
}

static int qemu(int qmp)
{
	if (is_told_to("leave"))
		return leave();
	say(qmp, is_told_to("nonsense") ? "hello\n" : "{\"QMP\": {}}\n");
	say(STDOUT_FILENO, "[    0.0] Linux version\n");
	if (is_told_to("panic")) {
		say(STDOUT_FILENO, "[    0.1] Kernel panic - not syncing: no init\nCPU: 0\n");
		return 0;
	}
	if (is_told_to("poweroff")) {
		say(qmp, "{\"event\": \"SHUTDOWN\", \"data\": {\"reason\": \"guest-shutdown\"}}\n");
		usleep(100000); /* it is read before the end is seen */
		return 0;
	}
	return run_until_quit(qmp);
}

/* Ends when its VMM does, or on SIGUSR1 as if it did. */
static int helper(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLHUP };

	signal(SIGUSR1, _exit);
	say(fd, "r"); /* ready */
	return poll(&poll_fd, 1, -1) == 1 ? 0 : 4;
}

int main(int argc, char **argv)
{
	int qmp, listener;

	argc_ = argc;
	argv_ = argv;
	if (is_told_to("exit")) {
		fprintf(stderr, "%s: broken\n", strrchr(argv[0], '/') + 1);
		return 1;
	}
	qmp = number_after("id=qmp,fd=");
	listener = number_after("--fd=");
	if (qmp >= 0)
		return qemu(qmp);
	if (listener >= 0)
		return pause();
	return helper(number_after("vmm="));
}
