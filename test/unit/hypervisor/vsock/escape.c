/*
 * escape ATTEMPT DIR: a vsock device that its guest has taken over. It isolates itself as
 * the device does and then tries something. Exit status: 0 when it has succeeded, 1 when it was
 * refused; the filter kills.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/error.h"
#include "hypervisor/vsock/isolate.h"

static bool nothing(void)
{
	return true;
}

static bool open_file(void)
{
	return open("/etc/passwd", O_RDONLY) >= 0;
}

static bool make_process(void)
{
	return fork() >= 0;
}

static bool execute(void)
{
	execl("/bin/true", "true", NULL);
	return false;
}

static bool reach_network(void)
{
	return socket(AF_INET, SOCK_STREAM, 0) >= 0;
}

static bool reach_kernel(void)
{
	return socket(AF_NETLINK, SOCK_RAW, 0) >= 0;
}

/* A socket of the host outside the directory. */
static bool reach_other_socket(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = "../other/socket" };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	return fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0;
}

static bool listen_itself(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = "trap" };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	return bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0;
}

static bool make_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
	            0) != MAP_FAILED;
}

static bool make_memory_code(void)
{
	static char page[4096] __attribute__((aligned(4096)));

	return mprotect(page, sizeof(page), PROT_EXEC) == 0;
}

static bool signal_parent(void)
{
	return kill(getppid(), 0) == 0;
}

static bool trace_parent(void)
{
	return ptrace(PTRACE_ATTACH, getppid(), NULL, NULL) == 0;
}

static bool leave_root(void)
{
	return chroot(".") == 0;
}

static const struct {
	const char *name;
	bool (*attempt)(void);
} attempts[] = {
	{ "nothing", nothing },
	{ "open_file", open_file },
	{ "make_process", make_process },
	{ "execute", execute },
	{ "reach_network", reach_network },
	{ "reach_kernel", reach_kernel },
	{ "reach_other_socket", reach_other_socket },
	{ "listen_itself", listen_itself },
	{ "make_code", make_code },
	{ "make_memory_code", make_memory_code },
	{ "signal_parent", signal_parent },
	{ "trace_parent", trace_parent },
	{ "leave_root", leave_root },
};

int main(int argc, char **argv)
{
	struct isolate how = { .parent = getppid() };

	if (argc != 3)
		_exit(EXIT_FAILURE);
	how.dir = argv[2];
	if (isolate(&how, NULL) < 0)
		_exit(EXIT_FAILURE);
	for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++)
		if (!strcmp(attempts[i].name, argv[1]))
			_exit(attempts[i].attempt() ? EXIT_SUCCESS : EXIT_FAILURE);
	_exit(EXIT_FAILURE);
}
