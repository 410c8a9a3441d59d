#include "hypervisor/virtiofsd_options.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/arg_list.h"
#include "common/cleanup.h"
#include "hypervisor/virtiofsd_config.h"

#define ARGS_BYTES_MAX (16 << 10) /* two paths, and room */

typedef void print_value_fn(struct arg_list *list, const struct virtiofsd_config *config);

struct option {
	const char *text;
	print_value_fn *print_value; /* NULL: it has none */
};

/* In C: each after "-o". */

static void print_share_dir_in_c(struct arg_list *list, const struct virtiofsd_config *config)
{
	for (const char *c = config->share_dir; *c; c++) /* fuse_opt.h: a comma ends a value */
		arg_list_print(list, "%s%c", strchr(",\\", *c) ? "\\" : "", *c);
}

/*
 * The daemon's own cache=auto drops a file's pages at each open: every execve reads the executable
 * anew, which is two thirds of an exec's cost. With a second's timeout Linux asks for the
 * attributes again and drops the pages when the file has changed: what the host writes is seen a
 * second later.
 */
static void print_cache_in_c(struct arg_list *list, const struct virtiofsd_config *config)
{
	static const char *const values[] = {
		[VM_CACHE_NEVER] = "none",
		[VM_CACHE_AUTO] = "always,timeout=1",
		[VM_CACHE_ALWAYS] = "always",
	};

	arg_list_print(list, "%s", values[config->cache]);
}

/* With announce_submounts two files of two mounts do not look like one to the guest (same device,
 * same inode). */
static const struct option options_in_c[] = {
	{ "source=", print_share_dir_in_c }, { "cache=", print_cache_in_c }, { "xattr", NULL },
	{ "sandbox=namespace", NULL },       { "announce_submounts", NULL }, { 0 },
};

/* In Rust: each an argument. */

static void print_share_dir(struct arg_list *list, const struct virtiofsd_config *config)
{
	arg_list_print(list, "%s", config->share_dir);
}

static void print_cache(struct arg_list *list, const struct virtiofsd_config *config)
{
	static const char *const values[] = {
		[VM_CACHE_NEVER] = "never",
		[VM_CACHE_AUTO] = "auto",
		[VM_CACHE_ALWAYS] = "always",
	};

	arg_list_print(list, "%s", values[config->cache]);
}

/*
 * With file handles it has no descriptor of a file that the guest merely knows. To open one that the
 * host has removed meanwhile is ESTALE then, upon which Linux looks its path up again: what is written
 * goes into the file that has the name now. They need a capability. Where a file system has none
 * (overlay) it is as without.
 */
static const struct option options[] = {
	{ "--shared-dir=", print_share_dir },
	{ "--cache=", print_cache },
	{ "--xattr", NULL },
	{ "--sandbox=namespace", NULL },
	{ "--announce-submounts", NULL },
	{ "--inode-file-handles=prefer", NULL },
	{ "--modcaps=+dac_read_search", NULL },
	{ "--log-level=warn", NULL },
	{ 0 },
};

/* Ours. */

static void print_parent(struct arg_list *list, const struct virtiofsd_config *config)
{
	arg_list_print(list, "%d", getpid());
}

static const struct option options_of_ours[] = {
	{ "--dir=", print_share_dir },
	{ "--cache=", print_cache },
	{ "--parent=", print_parent },
	{ 0 },
};

/*
 * The sign is an option that the one in C does not have, in the program's text: to ask it for its
 * version would cost each start a process more. A script that starts the one in Rust may have the
 * word in a comment.
 */
static bool is_in_rust(const char *path)
{
	static const char sign[] = "inode-file-handles";
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	void *text;
	bool found;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size == 0)
		return false;
	text = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (text == MAP_FAILED)
		return false;
	found = memmem(text, (size_t)st.st_size, sign, strlen(sign)) != NULL;
	munmap(text, (size_t)st.st_size);
	return found;
}

enum virtiofsd_kind virtiofsd_kind(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (strcmp(slash ? slash + 1 : path, "kata-fs") == 0)
		return VIRTIOFSD_OURS;
	return is_in_rust(path) ? VIRTIOFSD_IN_RUST : VIRTIOFSD_IN_C;
}

static const struct {
	const struct option *options;
	const char *fd;
	bool after_o;
} kinds[] = {
	[VIRTIOFSD_IN_C] = { options_in_c, "fd", true },
	[VIRTIOFSD_IN_RUST] = { options, "fd", false },
	[VIRTIOFSD_OURS] = { options_of_ours, "vmm", false },
};

char **virtiofsd_options(const struct virtiofsd_config *config, enum virtiofsd_kind kind, int fd)
{
	struct arg_list list = ARG_LIST_INIT(ARGS_BYTES_MAX);

	arg_list_add(&list, config->path);
	arg_list_print(&list, "--%s=%d", kinds[kind].fd, fd);
	arg_list_end(&list);
	for (const struct option *option = kinds[kind].options; option->text; option++) {
		if (kinds[kind].after_o)
			arg_list_add(&list, "-o");
		arg_list_print(&list, "%s", option->text);
		if (option->print_value)
			option->print_value(&list, config);
		arg_list_end(&list);
	}
	return arg_list_finish(&list);
}
