#include "agent/guest/port_redirect.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/bpf.h"
#include "common/error.h"
#include "common/mem.h"

#define INSNS_MAX 20
#define TO_END    (-1) /* a jump that finish() bends */

/* sendmsg(2) to an address of IPv4 by a socket of IPv6 is the kernel's sendmsg of IPv4. */
static const struct hook {
	enum bpf_attach_type type;
	bool is_ipv6;
	bool is_back; /* it changes where something comes from */
} hooks[] = {
	{ BPF_CGROUP_INET4_CONNECT, false, false }, { BPF_CGROUP_INET6_CONNECT, true, false },
	{ BPF_CGROUP_UDP4_SENDMSG, false, false },  { BPF_CGROUP_UDP4_RECVMSG, false, true },
	{ BPF_CGROUP_UDP6_RECVMSG, true, true },
};
#define HOOKS (sizeof(hooks) / sizeof(hooks[0]))

struct port_redirect {
	int links[HOOKS];
};

struct program {
	struct bpf_insn insns[INSNS_MAX];
	size_t n;
};

static void emit(struct program *program, int code, int dst, int src, int off, int imm)
{
	if (program->n == INSNS_MAX)
		abort();
	program->insns[program->n++] = (struct bpf_insn){
		.code = code,
		.dst_reg = dst,
		.src_reg = src,
		.off = off,
		.imm = imm,
	};
}

/* On only where the context's field at @offset is @value. r1: the context. */
static void emit_only(struct program *program, size_t offset, uint32_t value)
{
	emit(program, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_2, BPF_REG_1, (int)offset, 0);
	emit(program, BPF_JMP32 | BPF_JNE | BPF_K, BPF_REG_2, 0, TO_END, (int)value);
}

static void emit_only_address(struct program *program, bool is_ipv6, struct in_addr address)
{
	const uint32_t mapped[] = { 0, 0, htonl(0xffff), address.s_addr };

	if (!is_ipv6)
		emit_only(program, offsetof(struct bpf_sock_addr, user_ip4), address.s_addr);
	for (size_t i = 0; is_ipv6 && i < sizeof(mapped) / sizeof(mapped[0]); i++)
		emit_only(program, offsetof(struct bpf_sock_addr, user_ip6) + i * sizeof(mapped[0]),
		          mapped[i]);
}

/* The answer is always that the call may go on. */
static void finish(struct program *program)
{
	for (size_t i = 0; i < program->n; i++)
		if (program->insns[i].off == TO_END)
			program->insns[i].off = (short)(program->n - i - 1);
	emit(program, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 1);
	emit(program, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

/* Ports are in the order of the network, as the context has them. */
static void compile(struct program *program, const struct hook *hook, struct in_addr address,
                    in_port_t from, in_port_t to)
{
	const size_t port = offsetof(struct bpf_sock_addr, user_port);

	emit_only_address(program, hook->is_ipv6, address);
	emit_only(program, port, hook->is_back ? to : from);
	emit(program, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_2, 0, 0, hook->is_back ? from : to);
	emit(program, BPF_STX | BPF_MEM | BPF_W, BPF_REG_1, BPF_REG_2, (int)port, 0);
	finish(program);
}

static int attach(const struct hook *hook, int cgroup, const struct sockaddr_in *from,
                  uint16_t port, struct error *err)
{
	struct program program = { 0 };
	autoclose int fd = -1;
	int link;

	compile(&program, hook, from->sin_addr, from->sin_port, htons(port));
	fd = bpf_load(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, hook->type, program.insns, program.n);
	if (fd < 0)
		return error_errno(err, "cannot load a program that redirects a port");
	link = bpf_attach(fd, cgroup, hook->type);
	return link < 0 ? error_errno(err, "cannot redirect a port") : link;
}

int port_redirect_create(const char *cgroup, const struct sockaddr_in *from, uint16_t port,
                         struct port_redirect **out, struct error *err)
{
	autodestroy(port_redirect) struct port_redirect *redirect = mem_new(struct port_redirect);
	autoclose int fd = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; i < HOOKS; i++)
		redirect->links[i] = -1;
	if (fd < 0)
		return error_errno(err, "cannot open \"%s\"", cgroup);
	for (size_t i = 0; i < HOOKS; i++) {
		redirect->links[i] = attach(&hooks[i], fd, from, port, err);
		if (redirect->links[i] < 0)
			return redirect->links[i];
	}
	*out = take_ptr(&redirect);
	return 0;
}

void port_redirect_destroy(struct port_redirect *redirect)
{
	if (!redirect)
		return;
	for (size_t i = 0; i < HOOKS; i++)
		cleanup_close(&redirect->links[i]);
	free(redirect);
}
