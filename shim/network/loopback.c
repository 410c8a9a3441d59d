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

#define BACKLOG   512
#define INSNS_MAX 40
#define TO_END    (-1) /* a jump that finish_program() bends */

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
struct program {
	struct bpf_insn insns[INSNS_MAX];
	size_t n;
};

static size_t emit(struct program *program, int code, int dst, int src, int off, int imm)
{
	if (program->n == INSNS_MAX)
		abort();
	program->insns[program->n] = (struct bpf_insn){
		.code = code,
		.dst_reg = dst,
		.src_reg = src,
		.off = off,
		.imm = imm,
	};
	return program->n++;
}

static void emit_set(struct program *program, int reg, int value)
{
	emit(program, BPF_ALU64 | BPF_MOV | BPF_K, reg, 0, 0, value);
}

static void emit_copy(struct program *program, int to, int from)
{
	emit(program, BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0);
}

static void emit_call(struct program *program, int function)
{
	emit(program, BPF_JMP | BPF_CALL, 0, 0, 0, function);
}

/* On only where the context's field at @offset is @value. */
static size_t emit_only(struct program *program, size_t offset, uint32_t value)
{
	emit(program, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_2, BPF_REG_1, (int)offset, 0);
	return emit(program, BPF_JMP32 | BPF_JNE | BPF_K, BPF_REG_2, 0, TO_END, (int)value);
}

/* The jump @from leads to what comes next. */
static void land_here(struct program *program, size_t from)
{
	program->insns[from].off = (short)(program->n - from - 1);
}

static void emit_choice(struct program *program)
{
	size_t not_ipv4, found;

	emit_only(program, offsetof(struct bpf_sk_lookup, protocol), IPPROTO_TCP);
	not_ipv4 = emit_only(program, offsetof(struct bpf_sk_lookup, family), AF_INET);
	emit_only(program, offsetof(struct bpf_sk_lookup, local_ip4), htonl(INADDR_LOOPBACK));
	emit_set(program, BPF_REG_8, 0);
	found = emit(program, BPF_JMP | BPF_JA, 0, 0, 0, 0);
	land_here(program, not_ipv4);
	emit_only(program, offsetof(struct bpf_sk_lookup, family), AF_INET6);
	for (size_t i = 0; i < 4; i++)
		emit_only(program, offsetof(struct bpf_sk_lookup, local_ip6) + i * 4,
		          i < 3 ? 0 : htonl(1));
	emit_set(program, BPF_REG_8, 1);
	land_here(program, found);
}

static void emit_assignment(struct program *program, int map)
{
	emit_copy(program, BPF_REG_6, BPF_REG_1);
	emit(program, BPF_STX | BPF_MEM | BPF_W, BPF_REG_10, BPF_REG_8, -4, 0);
	emit(program, BPF_LD | BPF_DW, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0, map);
	emit(program, 0, 0, 0, 0, 0); /* the other half */
	emit_copy(program, BPF_REG_2, BPF_REG_10);
	emit(program, BPF_ALU64 | BPF_ADD, BPF_REG_2, 0, 0, -4);
	emit_call(program, BPF_FUNC_map_lookup_elem);
	emit(program, BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, TO_END, 0);
	emit_copy(program, BPF_REG_7, BPF_REG_0);
	emit_copy(program, BPF_REG_1, BPF_REG_6);
	emit_copy(program, BPF_REG_2, BPF_REG_7);
	emit_set(program, BPF_REG_3, 0);
	emit_call(program, BPF_FUNC_sk_assign);
	emit_copy(program, BPF_REG_1, BPF_REG_7);
	emit_call(program, BPF_FUNC_sk_release);
}

static void finish_program(struct program *program)
{
	for (size_t i = 0; i < program->n; i++)
		if (program->insns[i].off == TO_END)
			land_here(program, i);
	emit_set(program, BPF_REG_0, SK_PASS);
	emit(program, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static int load_program(int map, int *out, struct error *err)
{
	struct program program = { 0 };

	emit_choice(&program);
	emit_assignment(&program, map);
	finish_program(&program);
	*out = bpf_load(BPF_PROG_TYPE_SK_LOOKUP, BPF_SK_LOOKUP, program.insns, program.n);
	return *out < 0 ? error_errno(err, "cannot load a program of type sk_lookup") : 0;
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
