#include "agent/guest/modprobe.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "agent/base/kernel_file.h"
#include "common/cleanup.h"
#include "common/error.h"
#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/processor.h"

/*
 * The kernel begins the process in the root that it unpacked, not in the one that the agent has made
 * of it (boot.c): both have /init and /modules. "/.." leads from the former to what is mounted over
 * it, with the share, and stays where it is in the latter.
 */
#define MODULES   "/modules"
#define AGENTS    "/.."
#define LIST      "on-demand"
#define KVM       "char-major-10-232"
#define ASK       "/proc/sys/kernel"
#define LIST_MAX  (1 << 20) /* bytes */
#define ALIAS_MAX 255       /* more than the kernel's own names have */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

bool modprobe_is_asked_for(int argc, char **argv)
{
	return argc == 4 && !strcmp(argv[1], "-q") && !strcmp(argv[2], "--");
}

static void normalize(char *alias)
{
	for (; (alias = strchr(alias, '-')); alias++)
		*alias = '_';
}

/* Most lines are names, which need no matching. */
static bool matches(char *pattern, const char *alias)
{
	normalize(pattern);
	if (!strpbrk(pattern, "*?["))
		return strcmp(pattern, alias) == 0;
	return fnmatch(pattern, alias, 0) == 0;
}

/* Links that nobody asked for would have the names that a container gives its own: "ip link add dummy0
 * type dummy". A host with systemd has the same (modprobe.d). */
static const char *parameters_of(const char *file)
{
	static const struct {
		const char *module;
		const char *parameters;
	} rows[] = {
		{ "bonding", "max_bonds=0" },
		{ "dummy", "numdummies=0" },
		{ "ifb", "numifbs=0" },
	};
	size_t len = strcspn(file, ".");

	for (size_t i = 0; i < COUNT(rows); i++)
		if (strlen(rows[i].module) == len && !strncmp(rows[i].module, file, len))
			return rows[i].parameters;
	return "";
}

static bool load_module(int dir, const char *file)
{
	autoclose int fd = openat(dir, file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0 &&
	    (syscall(SYS_finit_module, fd, parameters_of(file), 0) == 0 || errno == EEXIST))
		return true;
	log_error("no module name=%s cause=\"%s\"", file, strerror(errno));
	return false;
}

/* Those of one line. */
static bool load_all(int dir, char *files, modprobe_load_fn *load)
{
	char *file;

	while ((file = strsep(&files, " ")))
		if (*file && (strchr(file, '/') || !load(dir, file)))
			return false;
	return true;
}

static bool load_from(const char *path, const char *alias, modprobe_load_fn *load)
{
	autoclose int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autofree char *list = NULL;
	bool loaded = false;
	char *rest;
	char *line;

	if (dir < 0 || file_read(dir, LIST, LIST_MAX, &list, NULL) < 0)
		return false;
	rest = list;
	while ((line = strsep(&rest, "\n"))) {
		char *pattern = strsep(&line, " ");

		if (line && matches(pattern, alias))
			loaded |= load_all(dir, line, load);
	}
	return loaded;
}

bool modprobe_load_from(const char *const dirs[MODPROBE_DIR_MAX], const char *alias,
                        modprobe_load_fn *load)
{
	autofree char *name = mem_strdup(alias);

	if (strlen(alias) > ALIAS_MAX)
		return false;
	normalize(name);
	for (size_t i = 0; i < MODPROBE_DIR_MAX; i++)
		if (load_from(dirs[i], name, load))
			return true;
	return false;
}

const char *modprobe_name(const char *alias)
{
	const bool amd = processor_virtualization() == PROCESSOR_SVM;

	return strcmp(alias, KVM) != 0 ? alias : amd ? "kvm_amd" : "kvm_intel";
}

bool modprobe_load(const char *alias)
{
	struct utsname uts;
	autofree char *shared = NULL;

	uname(&uts); /* fails only for a bad address */
	shared = mem_printf(AGENTS MODPROBE_SHARED "/%s", uts.release);
	return modprobe_load_from((const char *const[]){ MODULES, shared }, modprobe_name(alias),
	                          load_module);
}

int modprobe_main(const char *alias)
{
	alarm(MODPROBE_TIMEOUT_S); /* a host that does not answer: whoever needs the module goes without */
	return modprobe_load(alias) ? 0 : 1;
}

void modprobe_announce(void)
{
	autoclose int dir = open(ASK, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct error err;

	if (dir < 0 || kernel_file_write(dir, "modprobe", "/init", &err) < 0)
		log_warn("no modules on demand: cannot write \"" ASK "/modprobe\"");
}
