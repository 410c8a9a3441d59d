#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "hostile.h"

static struct sockaddr_vm address_of(uint32_t cid, uint32_t port)
{
	return (struct sockaddr_vm){
		.svm_family = AF_VSOCK,
		.svm_cid = cid,
		.svm_port = port,
	};
}

int vsock_dial(uint32_t cid, uint32_t port)
{
	struct sockaddr_vm to = address_of(cid, port);
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	close(fd);
	return -errno;
}

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct scan {
	unsigned long tried, refused;
	long slowest_ms; /* to be read by people: who is not answered for 2 s is not refused */
};

static void try_port(struct scan *scan, uint32_t port)
{
	long began = now_ms(), took;
	int fd = vsock_dial(CID_HOST, port);

	took = now_ms() - began;
	if (took > scan->slowest_ms)
		scan->slowest_ms = took;
	scan->tried++;
	if (fd == -ECONNRESET)
		scan->refused++;
	else
		printf("port %u: %s\n", port, fd < 0 ? strerror(-fd) : "answered");
	if (fd >= 0)
		close(fd);
}

/* What Linux programs listen on, all of the low ports, a sample of the rest, and all that our own
 * runtime uses on either side. */
int attack_scan(int argc, char **argv)
{
	static const uint32_t bases[] = { 0x40000000u, 0x60000000u, 0x7ffffff0u, 0xfffffff0u };
	struct scan scan = { 0 };

	for (uint32_t port = 1; port <= 2048; port++)
		try_port(&scan, port);
	for (uint32_t port = 2048; port < 65536; port += 61)
		try_port(&scan, port);
	for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++)
		for (uint32_t port = bases[i]; port < bases[i] + 15; port++)
			try_port(&scan, port);
	printf("tried=%lu refused=%lu slowest_ms=%ld\n", scan.tried, scan.refused, scan.slowest_ms);
	return 0;
}

/* Begins to connect and does not wait. */
static int dial_begin(uint32_t cid, uint32_t port)
{
	struct sockaddr_vm to = address_of(cid, port);
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS)
		return -errno;
	return fd;
}

/* How a connect has ended that was begun. */
static const char *outcome(int fd)
{
	struct pollfd wait = { .fd = fd, .events = POLLOUT };
	int cause = 0;
	socklen_t len = sizeof(cause);

	if (fd < 0)
		return strerror(-fd);
	if (poll(&wait, 1, 5000) == 0)
		return "silent";
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &cause, &len);
	return cause ? strerror(cause) : "answered";
}

/* Those of the hypervisor, of this guest, of guests that might be beside it. */
int attack_cids(int argc, char **argv)
{
	static const uint32_t cids[] = { 0, 1, 3, 4, 5, 100, VMADDR_CID_ANY };
	int fds[sizeof(cids) / sizeof(cids[0])];

	for (size_t i = 0; i < sizeof(cids) / sizeof(cids[0]); i++)
		fds[i] = dial_begin(cids[i], PORT_AGENT);
	for (size_t i = 0; i < sizeof(cids) / sizeof(cids[0]); i++)
		printf("cid %u: %s\n", cids[i], outcome(fds[i]));
	return 0;
}

/* connects NUMBER: opened and closed at once, one after another. */
int attack_connects(int argc, char **argv)
{
	unsigned long number = argc ? strtoul(argv[0], NULL, 10) : 1, answered = 0;

	for (unsigned long i = 0; i < number; i++) {
		int fd = vsock_dial(CID_HOST, PORT_HELLO);

		answered += fd >= 0;
		if (fd >= 0)
			close(fd);
	}
	printf("tried=%lu answered=%lu\n", number, answered);
	return 0;
}

static const char nonsense[] = "hello";

/* hellos NUMBER: announcements, each of another kind of wrong. */
int attack_hellos(int argc, char **argv)
{
	static const char *const words[] = {
		"good day\n",     "\n",     "hell",           "\xff\xfe\n",
		"bye\nhello 1\n", nonsense, "HELLO %s%s%n\n",
	};
	unsigned long number = argc ? strtoul(argv[0], NULL, 10) : 1, answered = 0;
	static char long_one[64 << 10];

	memset(long_one, 'x', sizeof(long_one));
	for (unsigned long i = 0; i < number; i++) {
		const char *text = words[i % (sizeof(words) / sizeof(words[0]))];
		int fd = vsock_dial(CID_HOST, PORT_HELLO);

		if (fd < 0)
			continue;
		answered++;
		write_all(fd, text, strlen(text));
		if (i % 16 == 0)
			write_all(fd, long_one, sizeof(long_one));
		close(fd);
	}
	printf("tried=%lu answered=%lu\n", number, answered);
	return 0;
}

/* hold NUMBER SECONDS: as many connections at once, each as full as it gets. */
int attack_hold(int argc, char **argv)
{
	unsigned long number = argc ? strtoul(argv[0], NULL, 10) : 1, open = 0, sent = 0;
	unsigned int seconds = argc > 1 ? (unsigned int)strtoul(argv[1], NULL, 10) : 0;
	const struct rlimit files = { number + 100, number + 100 };
	static char chunk[64 << 10];
	int *fds = calloc(number, sizeof(*fds));

	setrlimit(RLIMIT_NOFILE, &files);
	for (unsigned long i = 0; i < number; i++)
		fds[i] = dial_begin(CID_HOST, PORT_HELLO);
	for (unsigned long i = 0; i < number; i++) {
		struct pollfd wait = { .fd = fds[i], .events = POLLOUT };
		ssize_t n;

		poll(&wait, 1, 100);
		n = send(fds[i], chunk, sizeof(chunk), MSG_NOSIGNAL | MSG_DONTWAIT);
		open += n > 0;
		sent += n > 0 ? (unsigned long)n : 0;
	}
	printf("tried=%lu open=%lu sent=%lu\n", number, open, sent);
	sleep(seconds);
	free(fds);
	return 0;
}
