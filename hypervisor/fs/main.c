/*
 * kata-fs: serves a directory of the host to one virtual machine, in a process of its own.
 *
 *   kata-fs --dir DIR --cache never|auto|always --parent PID --vmm FD
 *
 * The descriptor is inherited: the vhost-user socket whose other end the VMM has.
 */
#include <errno.h>
#include <getopt.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "common/mem.h"
#include "hypervisor/fs/closer.h"
#include "hypervisor/fs/isolate.h"
#include "hypervisor/fs/server.h"
#include "hypervisor/vhost/say.h"

enum {
	OPTION_DIR,
	OPTION_CACHE,
	OPTION_PARENT,
	OPTION_VMM,
	OPTIONS,
};

static const struct option options[] = {
	{ "dir", required_argument, NULL, OPTION_DIR },
	{ "cache", required_argument, NULL, OPTION_CACHE },
	{ "parent", required_argument, NULL, OPTION_PARENT },
	{ "vmm", required_argument, NULL, OPTION_VMM },
	{ 0 },
};

static const char *const caches[] = {
	[FS_CACHE_NEVER] = "never",
	[FS_CACHE_AUTO] = "auto",
	[FS_CACHE_ALWAYS] = "always",
};

struct arguments {
	const char *dir;
	enum fs_cache cache;
	int parent;
	int vmm;
};

static int parse_number(const char *text, int *out)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || end == text || *end || value > INT32_MAX)
		return -EINVAL;
	*out = (int)value;
	return 0;
}

static int parse_cache(const char *text, enum fs_cache *out)
{
	for (size_t i = 0; i < sizeof(caches) / sizeof(caches[0]); i++) {
		if (strcmp(text, caches[i]) == 0) {
			*out = (enum fs_cache)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int parse_option(int option, const char *value, struct arguments *out)
{
	switch (option) {
	case OPTION_DIR:
		out->dir = value;
		return 0;
	case OPTION_CACHE:
		return parse_cache(value, &out->cache);
	case OPTION_PARENT:
		return parse_number(value, &out->parent);
	case OPTION_VMM:
		return parse_number(value, &out->vmm);
	default:
		return -EINVAL;
	}
}

static int parse(int argc, char **argv, struct arguments *out, struct error *err)
{
	unsigned int seen = 0;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (parse_option(option, optarg, out) < 0)
			return error_set(err, ERROR_INVALID_ARGUMENT, "a wrong option");
		seen |= 1U << option;
	}
	if (seen != (1U << OPTIONS) - 1 || optind != argc)
		return error_set(err, ERROR_INVALID_ARGUMENT, "each option is needed once");
	return 0;
}

static int run(int argc, char **argv, struct error *err)
{
	struct server *server = mem_new(struct server);
	struct closer *closer = mem_new(struct closer);
	struct arguments arguments = { 0 };
	int r, root;

	r = parse(argc, argv, &arguments, err);
	if (r < 0)
		return r;
	r = isolate(&(struct isolate){ .dir = arguments.dir, .parent = arguments.parent }, &root,
	            err);
	if (r < 0)
		return r;
	r = closer_start(closer, err);
	if (r == 0)
		r = server_init(server, arguments.vmm, root, arguments.cache, closer, err);
	if (r == 0)
		r = isolate_calls(err);
	return r < 0 ? r : server_run(server, err);
}

int main(int argc, char **argv)
{
	struct error err;

	if (run(argc, argv, &err) == 0)
		_exit(EXIT_SUCCESS);
	say("%s", err.text);
	_exit(EXIT_FAILURE);
}
