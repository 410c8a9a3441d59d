#include "shim/network/loopback.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/bpf.h"
#include "common/error.h"
#include "common/mem.h"
#include "shim/network/netns.h"

#define BACKLOG 512

struct loopback {
	int sockets[LOOPBACK_FAMILIES];
	int map; /* in which the program finds a socket by its family's number */
	int program;
	int link; /* of the program to the namespace */
};

/* Also while `lo` is down, when nothing has its addresses. */
static int listen_on(const struct sockaddr *address, socklen_t size, int level, int free_bind)
{
	autoclose int fd =
		socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const int on = 1;

	if (fd < 0 || setsockopt(fd, level, free_bind, &on, sizeof(on)) < 0 ||
	    bind(fd, address, size) < 0 || listen(fd, BACKLOG) < 0)
		return -1;
	return take_fd(&fd);
}

/* In the namespace. */
static int listen_on_all(void *ctx, struct error *err)
{
	const struct sockaddr_in ipv4 = { .sin_family = AF_INET,
		                          .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const struct sockaddr_in6 ipv6 = { .sin6_family = AF_INET6,
		                           .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct loopback *loopback = ctx;

	loopback->sockets[0] = listen_on((const void *)&ipv4, sizeof(ipv4), SOL_IP, IP_FREEBIND);
	if (loopback->sockets[0] < 0)
		return error_errno(err, "cannot listen on 127.0.0.1");
	loopback->sockets[1] = /* a kernel may be without IPv6 */
		listen_on((const void *)&ipv6, sizeof(ipv6), SOL_IPV6, IPV6_FREEBIND);
	return 0;
}

static int make_map(int *out, struct error *err)
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_SOCKMAP,
		.key_size = sizeof(uint32_t),
		.value_size = sizeof(uint64_t),
		.max_entries = LOOPBACK_FAMILIES,
	};

	*out = bpf_call(BPF_MAP_CREATE, &attr);
	return *out < 0 ? error_errno(err, "cannot make a map of sockets") : 0;
}

static int fill_map(const struct loopback *loopback, struct error *err)
{
	for (uint32_t i = 0; i < LOOPBACK_FAMILIES; i++) {
		uint64_t value = (uint64_t)loopback->sockets[i];
		union bpf_attr attr = { 0 };

		attr.map_fd = (uint32_t)loopback->map;
		attr.key = (uintptr_t)&i;
		attr.value = (uintptr_t)&value;
		if (loopback->sockets[i] >= 0 && bpf_call(BPF_MAP_UPDATE_ELEM, &attr) < 0)
			return error_errno(err, "cannot put a socket into a map");
	}
	return 0;
}

/*
 * Registers: r6 the context, r7 the socket, r8 the family's number. The program never denies a
 * connection: without a socket of ours the kernel looks for another.
 */
static void emit_choice(struct bpf_program *program)
{
	size_t not_ipv4, found;

	bpf_emit_only(program, offsetof(struct bpf_sk_lookup, protocol), IPPROTO_TCP);
	not_ipv4 = bpf_emit_only(program, offsetof(struct bpf_sk_lookup, family), AF_INET);
	bpf_emit_only(program, offsetof(struct bpf_sk_lookup, local_ip4), htonl(INADDR_LOOPBACK));
	bpf_emit_set(program, BPF_REG_8, 0);
	found = bpf_emit(program, BPF_JMP | BPF_JA, 0, 0, 0, 0);
	bpf_land(program, not_ipv4);
	bpf_emit_only(program, offsetof(struct bpf_sk_lookup, family), AF_INET6);
	for (size_t i = 0; i < 4; i++)
		bpf_emit_only(program, offsetof(struct bpf_sk_lookup, local_ip6) + i * 4,
		              i < 3 ? 0 : htonl(1));
	bpf_emit_set(program, BPF_REG_8, 1);
	bpf_land(program, found);
}

static void emit_assignment(struct bpf_program *program, int map)
{
	bpf_emit_copy(program, BPF_REG_6, BPF_REG_1);
	bpf_emit(program, BPF_STX | BPF_MEM | BPF_W, BPF_REG_10, BPF_REG_8, -4, 0);
	bpf_emit(program, BPF_LD | BPF_DW, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0, map);
	bpf_emit(program, 0, 0, 0, 0, 0); /* the other half */
	bpf_emit_copy(program, BPF_REG_2, BPF_REG_10);
	bpf_emit(program, BPF_ALU64 | BPF_ADD, BPF_REG_2, 0, 0, -4);
	bpf_emit(program, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem);
	bpf_emit(program, BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, BPF_OPEN, 0);
	bpf_emit_copy(program, BPF_REG_7, BPF_REG_0);
	bpf_emit_copy(program, BPF_REG_1, BPF_REG_6);
	bpf_emit_copy(program, BPF_REG_2, BPF_REG_7);
	bpf_emit_set(program, BPF_REG_3, 0);
	bpf_emit(program, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_sk_assign);
	bpf_emit_copy(program, BPF_REG_1, BPF_REG_7);
	bpf_emit(program, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_sk_release);
}

static int load_program(int map, int *out, struct error *err)
{
	autodestroy(bpf_program) struct bpf_program *program = bpf_program_create();
	int fd;

	emit_choice(program);
	emit_assignment(program, map);
	bpf_land_all(program, 0);
	bpf_emit_answer(program, SK_PASS);
	fd = bpf_load(BPF_PROG_TYPE_SK_LOOKUP, BPF_SK_LOOKUP, program,
	              "a program of type sk_lookup", err);
	if (fd < 0)
		return fd;
	*out = fd;
	return 0;
}

int loopback_create(struct loopback **out, struct error *err)
{
	autodestroy(loopback) struct loopback *loopback = mem_new(struct loopback);
	int r;

	loopback->link = loopback->program = loopback->map = -1;
	for (int i = 0; i < LOOPBACK_FAMILIES; i++)
		loopback->sockets[i] = -1;
	r = make_map(&loopback->map, err);
	if (r == 0)
		r = load_program(loopback->map, &loopback->program, err);
	if (r < 0)
		return r;
	*out = take_ptr(&loopback);
	return 0;
}

int loopback_attach(struct loopback *loopback, const struct netns *netns, struct error *err)
{
	int r = netns_call(netns, listen_on_all, loopback, err);

	if (r == 0)
		r = fill_map(loopback, err);
	if (r < 0)
		return r;
	loopback->link = bpf_attach(loopback->program, netns_fd(netns), BPF_SK_LOOKUP);
	if (loopback->link < 0)
		return error_errno(err, "cannot attach a program to the network namespace");
	return 0;
}

void loopback_destroy(struct loopback *loopback)
{
	if (!loopback)
		return;
	cleanup_close(&loopback->link);
	cleanup_close(&loopback->program);
	cleanup_close(&loopback->map);
	for (int i = 0; i < LOOPBACK_FAMILIES; i++)
		cleanup_close(&loopback->sockets[i]);
	free(loopback);
}

int loopback_take(struct loopback *loopback, unsigned int i)
{
	return take_fd(&loopback->sockets[i]);
}
