/*
 * kata-vsock: the vsock device of one virtual machine, in a process of its own.
 *
 *   kata-vsock --cid CID --dir DIR --uid UID --gid GID --parent PID --vmm FD --listen FD
 *
 * Both descriptors are inherited: the vhost-user socket whose other end the VMM has, and the socket
 * that processes connect to, bound in DIR (line.h says what they speak).
 */
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/error.h"
#include "common/mem.h"
#include "hypervisor/vhost/say.h"
#include "hypervisor/vsock/device.h"
#include "hypervisor/vsock/isolate.h"

#define KEPT_LARGE (32 << 10)

enum {
	OPTION_CID,
	OPTION_UID,
	OPTION_GID,
	OPTION_PARENT,
	OPTION_VMM,
	OPTION_LISTEN,
	OPTION_NUMBERS,
	OPTION_DIR = OPTION_NUMBERS,
};

static const struct option options[] = {
	{ "cid", required_argument, NULL, OPTION_CID },
	{ "uid", required_argument, NULL, OPTION_UID },
	{ "gid", required_argument, NULL, OPTION_GID },
	{ "parent", required_argument, NULL, OPTION_PARENT },
	{ "vmm", required_argument, NULL, OPTION_VMM },
	{ "listen", required_argument, NULL, OPTION_LISTEN },
	{ "dir", required_argument, NULL, OPTION_DIR },
	{ 0 },
};

struct arguments {
	const char *dir;
	uint32_t numbers[OPTION_NUMBERS];
};

static int parse_number(const char *text, uint32_t *out)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || end == text || *end || value > UINT32_MAX)
		return -EINVAL;
	*out = value;
	return 0;
}

static int parse(int argc, char **argv, struct arguments *out, struct error *err)
{
	unsigned int seen = 0;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (option == OPTION_DIR)
			out->dir = optarg;
		else if (option > OPTION_DIR || parse_number(optarg, &out->numbers[option]) < 0)
			return error_set(err, ERROR_INVALID_ARGUMENT, "a wrong option");
		seen |= 1U << option;
	}
	if (seen != (1U << (OPTION_DIR + 1)) - 1 || optind != argc)
		return error_set(err, ERROR_INVALID_ARGUMENT, "each option is needed once");
	return 0;
}

static int run(int argc, char **argv, struct error *err)
{
	struct device *device = mem_new(struct device);
	struct arguments arguments = { 0 };
	const uint32_t *number = arguments.numbers;
	int r;

	r = parse(argc, argv, &arguments, err);
	if (r < 0)
		return r;
	r = isolate(&(struct isolate){ .dir = arguments.dir,
	                               .uid = number[OPTION_UID],
	                               .gid = number[OPTION_GID],
	                               .parent = (pid_t)number[OPTION_PARENT] },
	            err);
	if (r < 0)
		return r;
	r = device_init(device, number[OPTION_CID], (int)number[OPTION_VMM],
	                (int)number[OPTION_LISTEN], err);
	if (r < 0)
		return r;
	return device_run(device, err);
}

int main(int argc, char **argv)
{
	struct error err;

	/* What a slow reader makes necessary goes back to the system when the reader has it all. */
	mallopt(M_MMAP_THRESHOLD, KEPT_LARGE);
	signal(SIGPIPE, SIG_IGN); /* a reader that has gone is an error of its write only */
	run(argc, argv, &err);
	say("%s", err.text);
	_exit(EXIT_FAILURE);
}
