#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hostile.h"

/*
 * Every call is answered with an empty message, which means success. The container's init is a
 * WaitProcess that is answered when a signal comes; an exec is an attack: one of main.c's, run by
 * a child whose output is the stream of the exec, or one on the agent's own connection, from the
 * table below.
 */

#define STREAMS_MAX 64
#define WAITS_MAX   64
#define ID_MAX      200
#define ARGS_MAX    8
#define FLOOD_BYTES (64 << 20)

static struct stream {
	int fd;
	uint32_t port; /* of the host's end */
} streams[STREAMS_MAX];

/* A process, by the id that the calls know it by. */
static struct process {
	char id[ID_MAX];
	pid_t pid;       /* 0: it is no child */
	uint32_t waiter; /* the stream of the WaitProcess that asks for it */
	int status;      /* -1: it runs */
} processes[WAITS_MAX];

static char container_id[ID_MAX];
static bool oom_flood;
static uint32_t oom_asker; /* the stream of a GetOOMEvent that waits */
static bool statistics_flood;
static bool long_errors;
static int conn = -1;

static void copy_text(char to[ID_MAX], struct bytes from)
{
	size_t len = from.len < ID_MAX ? from.len : ID_MAX - 1;

	memcpy(to, from.data, len);
	to[len] = '\0';
}

static struct process *process_of(struct bytes request, bool make)
{
	char id[ID_MAX] = "", exec[ID_MAX] = "";
	const char *name;

	copy_text(id, field_bytes(request, 1, 0));
	copy_text(exec, field_bytes(request, 2, 0));
	name = *exec ? exec : id;
	for (int i = 0; i < WAITS_MAX; i++)
		if (!strcmp(processes[i].id, name))
			return &processes[i];
	for (int i = 0; make && i < WAITS_MAX; i++)
		if (!*processes[i].id) {
			processes[i] = (struct process){ .status = -1 };
			memcpy(processes[i].id, name, ID_MAX);
			return &processes[i];
		}
	return NULL;
}

/* Answers who waits, and forgets the process. */
static void tell(struct process *process)
{
	uint8_t payload[] = { 1 << 3, (uint8_t)(process->status & 0x7f) };

	if (!process->waiter || process->status < 0)
		return;
	answer(conn, process->waiter, payload, sizeof(payload));
	*process = (struct process){ 0 };
}

/* Attacks on the agent's own connection. */

static void flood(const void *frame, size_t len, size_t total)
{
	for (size_t sent = 0; sent < total; sent += len)
		write_all(conn, frame, len);
}

/* Answers that nobody asked for, as many as fit into a buffer of the host's. */
static void flood_small(void)
{
	static uint8_t frames[3276 * FRAME_HEADER];

	for (size_t at = 0; at < sizeof(frames); at += FRAME_HEADER)
		frame_header(frames + at, 0, 0x7fffffffu);
	flood(frames, sizeof(frames), FLOOD_BYTES / 8);
}

static void flood_large(void)
{
	static uint8_t frame[FRAME_HEADER + FRAME_MAX];

	frame_header(frame, FRAME_MAX, 1);
	memset(frame + FRAME_HEADER, 0x12, FRAME_MAX);
	flood(frame, sizeof(frame), FLOOD_BYTES);
}

static void announce_too_much(void)
{
	uint8_t header[FRAME_HEADER];

	frame_header(header, UINT32_MAX, 1);
	write_all(conn, header, sizeof(header));
}

static void never_finish(void)
{
	uint8_t header[FRAME_HEADER];

	frame_header(header, FRAME_MAX, 1);
	write_all(conn, header, sizeof(header));
	flood(container_id, ID_MAX, FRAME_MAX - ID_MAX);
}

static void answer_oom(void)
{
	uint8_t event[2 + ID_MAX] = { 1 << 3 | 2, (uint8_t)strlen(container_id) };

	memcpy(event + 2, container_id, event[1]);
	if (oom_flood && oom_asker) {
		answer(conn, oom_asker, event, 2u + event[1]);
		oom_asker = 0;
	}
}

static void begin_oom_flood(void)
{
	oom_flood = true;
	answer_oom();
}

static void end_oom_flood(void)
{
	oom_flood = false;
}

static void begin_statistics_flood(void)
{
	statistics_flood = true;
}

static void begin_long_errors(void)
{
	long_errors = true;
}

static const struct {
	const char *name;
	void (*run)(void);
} own_attacks[] = {
	{ "small", flood_small },
	{ "large", flood_large },
	{ "too-much", announce_too_much },
	{ "never-finish", never_finish },
	{ "oom", begin_oom_flood },
	{ "no-oom", end_oom_flood },
	{ "statistics", begin_statistics_flood },
	{ "long-errors", begin_long_errors },
};

static uint8_t *put_varint(uint8_t *at, uint64_t value)
{
	for (; value > 0x7f; value >>= 7)
		*at++ = (uint8_t)(value | 0x80);
	*at++ = (uint8_t)value;
	return at;
}

static uint8_t *put_bytes_header(uint8_t *at, unsigned int number, size_t len)
{
	return put_varint(put_varint(at, number << 3 | 2), len);
}

/* Two million empty messages in one answer. */
static void answer_statistics(uint32_t stream)
{
	static uint8_t frame[FRAME_HEADER + FRAME_MAX];
	size_t len = FRAME_MAX - 16;
	uint8_t *at = put_bytes_header(frame + FRAME_HEADER, 2, len);

	for (size_t i = 0; i < len; i += 2)
		at[i] = 2 << 3 | 2; /* StatsContainerResponse.network_stats */
	frame_header(frame, (uint32_t)(at + len - frame - FRAME_HEADER), stream);
	write_all(conn, frame, (size_t)(at - frame) + len);
}

/* An error whose text is 2 MiB of what a terminal should not be shown. */
static void answer_long_error(uint32_t stream)
{
	static uint8_t frame[FRAME_HEADER + FRAME_MAX];
	size_t len = 2 << 20;
	uint8_t *at = put_bytes_header(frame + FRAME_HEADER, 1, 2 + 5 + len);

	at = put_varint(put_varint(at, 1 << 3), 2); /* Status.code: UNKNOWN */
	at = put_bytes_header(at, 2, len);
	for (size_t i = 0; i < len; i++)
		at[i] = (uint8_t) "\033[2J\xff\n\r\a"[i % 8];
	frame_header(frame, (uint32_t)(at + len - frame - FRAME_HEADER), stream);
	write_all(conn, frame, (size_t)(at - frame) + len);
}

static void run_attack(struct process *process, struct bytes spec, uint32_t port)
{
	static char texts[ARGS_MAX][ID_MAX];
	char *argv[ARGS_MAX + 1] = { 0 };
	int argc = 0;

	for (; argc < ARGS_MAX && field_bytes(spec, 4, (unsigned int)argc).len; argc++) {
		copy_text(texts[argc], field_bytes(spec, 4, (unsigned int)argc));
		argv[argc] = texts[argc];
	}
	for (size_t i = 0; argc && i < sizeof(own_attacks) / sizeof(own_attacks[0]); i++)
		if (!strcmp(argv[0], own_attacks[i].name)) {
			own_attacks[i].run();
			process->status = 0;
		}
	if (process->status == 0)
		return;
	process->pid = fork();
	if (process->pid != 0)
		return;
	for (int i = 0; i < STREAMS_MAX; i++)
		if (streams[i].fd && streams[i].port == port)
			dup2(streams[i].fd, STDOUT_FILENO);
	exit(attack_run(argc, argv));
}

/* The output of a process has ended; of the container itself: port 0. */
static void close_stream(uint32_t port)
{
	for (int i = 0; i < STREAMS_MAX; i++)
		if (streams[i].fd && (streams[i].port == port || !port)) {
			close(streams[i].fd);
			streams[i] = (struct stream){ 0 };
		}
}

/* The calls that need more than an answer of success. Each answers, now or later. */

static void on_wait(uint32_t stream, struct bytes request)
{
	struct process *process = process_of(request, true);

	process->waiter = stream;
	tell(process);
}

static void on_next_oom(uint32_t stream, struct bytes request)
{
	oom_asker = stream;
	answer_oom();
}

static void on_stats(uint32_t stream, struct bytes request)
{
	if (statistics_flood)
		answer_statistics(stream);
	else
		answer(conn, stream, "", 0);
}

static void on_create(uint32_t stream, struct bytes request)
{
	copy_text(container_id, field_bytes(request, 1, 0));
	answer(conn, stream, "", 0);
}

static void on_exec(uint32_t stream, struct bytes request)
{
	struct process *process = process_of(request, true);

	run_attack(process, field_bytes(request, 4, 0), (uint32_t)field_number(request, 6));
	for (unsigned int number = 5; number <= 7; number++) /* its ports: in, out, err */
		if (field_number(request, number))
			close_stream((uint32_t)field_number(request, number));
	answer(conn, stream, "", 0);
}

static void on_signal(uint32_t stream, struct bytes request)
{
	struct process *process = process_of(request, false);

	if (long_errors) {
		long_errors = false;
		answer_long_error(stream);
		return;
	}
	answer(conn, stream, "", 0);
	if (!process)
		return;
	if (process->pid > 0)
		kill(process->pid, SIGKILL);
	else
		close_stream(0);
	process->status = process->status < 0 ? 9 : process->status;
	tell(process);
}

static const struct {
	const char *name;
	void (*handle)(uint32_t stream, struct bytes request);
} methods[] = {
	{ "CreateContainer", on_create }, { "ExecProcess", on_exec },
	{ "GetOOMEvent", on_next_oom },   { "SignalProcess", on_signal },
	{ "StatsContainer", on_stats },   { "WaitProcess", on_wait },
};

static void on_request(uint32_t stream, struct bytes method, struct bytes request)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (method.len == strlen(methods[i].name) &&
		    !memcmp(method.data, methods[i].name, method.len)) {
			methods[i].handle(stream, request);
			return;
		}
	answer(conn, stream, "", 0);
}

static void reap(void)
{
	int how;
	pid_t pid;

	while ((pid = waitpid(-1, &how, WNOHANG)) > 0)
		for (int i = 0; i < WAITS_MAX; i++)
			if (processes[i].pid == pid) {
				processes[i].status = WIFEXITED(how) ? WEXITSTATUS(how) : 9;
				tell(&processes[i]);
			}
}

static bool read_all(void *to, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = read(conn, (char *)to + done, len - done);

		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

static bool read_request(void)
{
	static uint8_t payload[FRAME_MAX];
	uint8_t header[FRAME_HEADER];
	uint32_t words[2];
	struct bytes message = { payload, 0 };

	if (!read_all(header, sizeof(header)))
		return false;
	memcpy(words, header, sizeof(words));
	message.len = ntohl(words[0]);
	if (message.len > sizeof(payload) || !read_all(payload, message.len))
		return false;
	on_request(ntohl(words[1]), field_bytes(message, 2, 0), field_bytes(message, 3, 0));
	return true;
}

/* All that have come: the call that names them may be here already. */
static void accept_streams(int listener)
{
	struct sockaddr_vm peer;
	socklen_t len = sizeof(peer);
	int fd;

	while ((fd = accept4(listener, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC)) >= 0)
		for (int i = 0; i < STREAMS_MAX; i++)
			if (!streams[i].fd) {
				streams[i] = (struct stream){ fd, peer.svm_port };
				break;
			}
}

static int listen_on(uint32_t port)
{
	struct sockaddr_vm any = { .svm_family = AF_VSOCK, .svm_port = port };
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	any.svm_cid = VMADDR_CID_ANY;
	bind(fd, (struct sockaddr *)&any, sizeof(any));
	listen(fd, 16);
	return fd;
}

static void load_modules(void)
{
	FILE *order = fopen("/modules/order", "r");
	char name[200], path[300];

	while (order && fgets(name, sizeof(name), order)) {
		int fd;

		name[strcspn(name, "\n")] = '\0';
		snprintf(path, sizeof(path), "/modules/%s", name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		syscall(SYS_finit_module, fd, "", 0);
		close(fd);
	}
}

/* "hostile=ATTACK,ARGUMENT..." of the kernel's command line: what is done before the hello. */
static void attack_first(void)
{
	char line[4096] = "", *at, *argv[ARGS_MAX + 1] = { 0 };
	int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC), argc = 0;

	if (fd < 0 || read(fd, line, sizeof(line) - 1) < 0 || !(at = strstr(line, "hostile=")))
		return;
	at += strlen("hostile=");
	at[strcspn(at, " \n")] = '\0';
	while (argc < ARGS_MAX && (argv[argc] = strsep(&at, ",")))
		argc++;
	attack_run(argc, argv);
}

static void say_hello(void)
{
	static const char hello[] = "hello 0.0.0 streams\n";
	int fd;

	while ((fd = vsock_dial(CID_HOST, PORT_HELLO)) < 0)
		usleep(10000);
	write_all(fd, hello, strlen(hello));
}

static void wait_for_device(void)
{
	int fd;

	while ((fd = vsock_dial(CID_HOST, 1)) == -ENODEV)
		usleep(10000);
	if (fd >= 0)
		close(fd);
}

int agent_run(void)
{
	int agent, incoming;

	signal(SIGPIPE, SIG_IGN);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	mount("sys", "/sys", "sysfs", 0, NULL);
	load_modules();
	agent = listen_on(PORT_AGENT);
	incoming = listen_on(PORT_STREAMS);
	wait_for_device();
	attack_first();
	say_hello();
	for (;;) {
		struct pollfd fds[] = { { .fd = agent, .events = POLLIN },
			                { .fd = incoming, .events = POLLIN },
			                { .fd = conn, .events = POLLIN } };

		poll(fds, 3, 20);
		accept_streams(incoming);
		if (fds[0].revents)
			conn = accept4(agent, NULL, NULL, SOCK_CLOEXEC);
		if (fds[2].revents && !read_request()) {
			close(conn);
			conn = -1;
		}
		reap();
	}
}
