#include "agent/guest/port_redirect.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/bpf.h"
#include "common/error.h"
#include "common/mem.h"

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

static void emit_only_address(struct bpf_program *program, bool is_ipv6, struct in_addr address)
{
	const uint32_t mapped[] = { 0, 0, htonl(0xffff), address.s_addr };

	if (!is_ipv6)
		bpf_emit_only(program, offsetof(struct bpf_sock_addr, user_ip4), address.s_addr);
	for (size_t i = 0; is_ipv6 && i < sizeof(mapped) / sizeof(mapped[0]); i++)
		bpf_emit_only(program,
		              offsetof(struct bpf_sock_addr, user_ip6) + i * sizeof(mapped[0]),
		              mapped[i]);
}

/*
 * Ports are in the order of the network, as the context has them. The answer is always that the call
 * may go on.
 */
static void compile(struct bpf_program *program, const struct hook *hook, struct in_addr address,
                    in_port_t from, in_port_t to)
{
	const size_t port = offsetof(struct bpf_sock_addr, user_port);

	emit_only_address(program, hook->is_ipv6, address);
	bpf_emit_only(program, port, hook->is_back ? to : from);
	bpf_emit_set(program, BPF_REG_2, hook->is_back ? from : to);
	bpf_emit(program, BPF_STX | BPF_MEM | BPF_W, BPF_REG_1, BPF_REG_2, (int)port, 0);
	bpf_land_all(program, 0);
	bpf_emit_answer(program, 1);
}

static int attach(const struct hook *hook, int cgroup, const struct sockaddr_in *from,
                  uint16_t port, struct error *err)
{
	autodestroy(bpf_program) struct bpf_program *program = bpf_program_create();
	autoclose int fd = -1;
	int link;

	compile(program, hook, from->sin_addr, from->sin_port, htons(port));
	fd = bpf_load(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, hook->type, program,
	              "a program that redirects a port", err);
	if (fd < 0)
		return fd;
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
