/*
 * traffic: bytes of TCP both ways at once, and datagrams there and back, each compared with what it
 * has to be. They are pseudo-random, made anew where they arrive, so that nothing is kept.
 *
 *	traffic serve PORT                             serves one client, by IPv4 or IPv6, and ends
 *	traffic connect ADDRESS PORT BYTES DATAGRAMS   waits for a server first
 *
 * The client says by TCP how much it wants; each side sends that much and compares what it gets. Then
 * the server returns datagrams of UDP until the client closes the connection. Exit status 0: it was
 * all as it has to be; else a line says what was not.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BLOCK         (64 << 10)
#define DATAGRAM      9000
#define WINDOW        4 /* datagrams under way */
#define QUIET_MS      60000
#define CONNECT_TRIES 200
#define TRY_MS        100

enum seed {
	SEED_CLIENT = 1,
	SEED_SERVER,
	SEED_DATAGRAMS,
};

struct wanted {
	uint64_t bytes;
	uint64_t datagrams;
};

/* Bytes in their order, of xorshift64*: block[at..] comes next. */
struct stream {
	uint64_t state;
	uint64_t left;
	size_t at;
	uint8_t block[BLOCK];
};

static void die(const char *what)
{
	fprintf(stderr, "traffic: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void differ(const char *what, uint64_t where)
{
	fprintf(stderr, "traffic: %s differs at %llu\n", what, (unsigned long long)where);
	exit(1);
}

static void fill(uint64_t *state, uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i += sizeof(uint64_t)) {
		uint64_t word;

		*state ^= *state >> 12;
		*state ^= *state << 25;
		*state ^= *state >> 27;
		word = *state * 0x2545f4914f6cdd1dULL;
		memcpy(bytes + i, &word, sizeof(word));
	}
}

static void stream_init(struct stream *stream, enum seed seed, uint64_t bytes)
{
	stream->state = seed;
	stream->left = bytes;
	stream->at = BLOCK;
}

/* What comes next of it: as much as there is in the block. */
static size_t stream_next(struct stream *stream)
{
	size_t n;

	if (stream->at == BLOCK) {
		fill(&stream->state, stream->block, BLOCK);
		stream->at = 0;
	}
	n = BLOCK - stream->at;
	return n < stream->left ? n : stream->left;
}

static void stream_advance(struct stream *stream, size_t n)
{
	stream->at += n;
	stream->left -= n;
}

static void wait_for(struct pollfd *fds, nfds_t n)
{
	int r = poll(fds, n, QUIET_MS);

	if (r == 0)
		errno = ETIMEDOUT;
	if (r <= 0)
		die("wait");
}

static void send_some(int fd, struct stream *out)
{
	ssize_t n = send(fd, out->block + out->at, stream_next(out), MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN)
		die("send");
	if (n > 0)
		stream_advance(out, (size_t)n);
}

static void receive_some(int fd, struct stream *in, uint64_t total)
{
	uint8_t bytes[BLOCK];
	ssize_t n = recv(fd, bytes, stream_next(in), MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0)
		die("receive");
	if (memcmp(bytes, in->block + in->at, (size_t)n) != 0)
		differ("the stream", total - in->left);
	stream_advance(in, (size_t)n);
}

static void exchange(int fd, enum seed own, enum seed other, uint64_t bytes)
{
	static struct stream out, in;

	stream_init(&out, own, bytes);
	stream_init(&in, other, bytes);
	while (out.left || in.left) {
		struct pollfd wait = { .fd = fd };

		wait.events = (short)((out.left ? POLLOUT : 0) | (in.left ? POLLIN : 0));
		wait_for(&wait, 1);
		if (out.left && (wait.revents & POLLOUT))
			send_some(fd, &out);
		if (in.left && (wait.revents & ~POLLOUT))
			receive_some(fd, &in, bytes);
	}
}

/* The number of a datagram, and bytes that are its own. */
static void make_datagram(uint64_t number, uint8_t *bytes)
{
	uint64_t state = (number << 8) + SEED_DATAGRAMS;

	fill(&state, bytes, DATAGRAM);
	memcpy(bytes, &number, sizeof(number));
}

static void send_datagram(int fd, uint64_t number)
{
	uint8_t bytes[DATAGRAM];

	make_datagram(number, bytes);
	if (send(fd, bytes, DATAGRAM, 0) != DATAGRAM)
		die("send a datagram");
}

/* They come back in any order, each once. */
static void receive_datagram(int fd, uint64_t sent, bool *seen)
{
	uint8_t bytes[DATAGRAM + 1], expected[DATAGRAM];
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	uint64_t number;
	ssize_t n;

	wait_for(&wait, 1);
	n = recv(fd, bytes, sizeof(bytes), 0);
	if (n < 0)
		die("receive a datagram");
	memcpy(&number, bytes, sizeof(number));
	if (n != DATAGRAM || number >= sent || seen[number])
		differ("a datagram's size or number", (uint64_t)n);
	make_datagram(number, expected);
	if (memcmp(bytes, expected, DATAGRAM) != 0)
		differ("datagram", number);
	seen[number] = true;
}

static void exchange_datagrams(int fd, uint64_t datagrams)
{
	bool *seen = calloc(datagrams + 1, sizeof(*seen));
	uint64_t sent = 0;

	if (!seen)
		die("datagrams");
	for (uint64_t received = 0; received < datagrams; received++) {
		while (sent < datagrams && sent - received < WINDOW)
			send_datagram(fd, sent++);
		receive_datagram(fd, sent, seen);
	}
	free(seen);
}

/* Until the client closes its connection. */
static void return_datagrams(int udp, int client)
{
	struct pollfd wait[] = { { .fd = udp, .events = POLLIN },
		                 { .fd = client, .events = POLLIN } };
	struct sockaddr_storage from;
	uint8_t bytes[DATAGRAM + 1];

	for (;;) {
		socklen_t size = sizeof(from);
		ssize_t n;

		wait_for(wait, 2);
		if (wait[1].revents)
			return;
		n = recvfrom(udp, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &size);
		if (n < 0 || sendto(udp, bytes, (size_t)n, 0, (struct sockaddr *)&from, size) != n)
			die("return a datagram");
	}
}

static int open_server(uint16_t port, int type)
{
	const struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int fd = socket(AF_INET6, type | SOCK_CLOEXEC, 0);
	const int on = 1, off = 0;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0 ||
	    bind(fd, (const struct sockaddr *)&any, sizeof(any)) < 0 ||
	    (type == SOCK_STREAM && listen(fd, 1) < 0))
		die("serve");
	return fd;
}

static int serve(const char *port)
{
	int udp = open_server((uint16_t)atoi(port), SOCK_DGRAM); /* before there is a client */
	int tcp = open_server((uint16_t)atoi(port), SOCK_STREAM);
	struct pollfd wait = { .fd = tcp, .events = POLLIN };
	struct wanted wanted;
	int client;

	wait_for(&wait, 1);
	client = accept(tcp, NULL, NULL);
	if (client < 0 || recv(client, &wanted, sizeof(wanted), MSG_WAITALL) != sizeof(wanted))
		die("accept");
	exchange(client, SEED_SERVER, SEED_CLIENT, wanted.bytes);
	if (send(client, "+", 1, MSG_NOSIGNAL) != 1)
		die("answer");
	return_datagrams(udp, client);
	return 0;
}

static socklen_t parse_address(const char *text, uint16_t port, struct sockaddr_storage *out)
{
	struct sockaddr_in *inet = (struct sockaddr_in *)out;
	struct sockaddr_in6 *inet6 = (struct sockaddr_in6 *)out;

	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, text, &inet->sin_addr) == 1) {
		inet->sin_family = AF_INET;
		inet->sin_port = htons(port);
		return sizeof(*inet);
	}
	errno = EINVAL;
	if (inet_pton(AF_INET6, text, &inet6->sin6_addr) != 1)
		die(text);
	inet6->sin6_family = AF_INET6;
	inet6->sin6_port = htons(port);
	return sizeof(*inet6);
}

/* A server may not be there yet. */
static int open_client(const char *address, const char *port, int type)
{
	struct sockaddr_storage to;
	socklen_t size = parse_address(address, (uint16_t)atoi(port), &to);
	int fd;

	for (int i = 0; i < CONNECT_TRIES; i++) {
		fd = socket(to.ss_family, type | SOCK_CLOEXEC, 0);
		if (fd < 0)
			die("socket");
		if (connect(fd, (const struct sockaddr *)&to, size) == 0)
			return fd;
		close(fd);
		usleep(TRY_MS * 1000);
	}
	die("connect");
	return -1;
}

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int run_client(const char *address, const char *port, const struct wanted *wanted)
{
	int tcp = open_client(address, port, SOCK_STREAM);
	int udp = open_client(address, port, SOCK_DGRAM);
	double begin = now_s(), between;
	char verdict;

	if (send(tcp, wanted, sizeof(*wanted), MSG_NOSIGNAL) != sizeof(*wanted))
		die("send");
	exchange(tcp, SEED_CLIENT, SEED_SERVER, wanted->bytes);
	if (recv(tcp, &verdict, 1, MSG_WAITALL) != 1)
		die("the other side");
	between = now_s();
	exchange_datagrams(udp, wanted->datagrams);
	printf("%.1f MB/s each way, %.0f datagrams/s\n",
	       (double)wanted->bytes / 1e6 / (between - begin),
	       (double)wanted->datagrams / (now_s() - between));
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "serve") == 0)
		return serve(argv[2]);
	if (argc == 6 && strcmp(argv[1], "connect") == 0) {
		const struct wanted wanted = { strtoull(argv[4], NULL, 10),
			                       strtoull(argv[5], NULL, 10) };

		return run_client(argv[2], argv[3], &wanted);
	}
	fprintf(stderr, "usage: traffic serve PORT | connect ADDRESS PORT BYTES DATAGRAMS\n");
	return 2;
}
