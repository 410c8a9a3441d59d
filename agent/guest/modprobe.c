#include "agent/guest/modprobe.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/base/kernel_file.h"
#include "common/cleanup.h"
#include "common/error.h"
#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"

/*
 * The kernel begins the process in the root that it unpacked, not in the one that the agent has made
 * of it (boot.c): both have /init and /modules.
 */
#define MODULES   "/modules"
#define ON_DEMAND MODULES "/on-demand"
#define ASK       "/proc/sys/kernel"
#define TABLE_MAX 65536

bool modprobe_is_asked_for(int argc, char **argv)
{
	return argc == 4 && !strcmp(argv[1], "-q") && !strcmp(argv[2], "--");
}

char *modprobe_find(const char *table, const char *alias)
{
	autofree char *copy = mem_strdup(table);
	char *rest = copy;
	char *line;

	while ((line = strsep(&rest, "\n"))) {
		const char *pattern = strsep(&line, " ");

		if (line && fnmatch(pattern, alias, 0) == 0)
			return mem_strdup(line);
	}
	return NULL;
}

static int load(const char *name)
{
	autofree char *path = mem_printf(MODULES "/%s", name);
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && (syscall(SYS_finit_module, fd, "", 0) == 0 || errno == EEXIST))
		return 0;
	log_error("no module name=%s cause=\"%s\"", name, strerror(errno));
	return -1;
}

bool modprobe_load(const char *alias)
{
	autofree char *table = NULL;
	autofree char *files = NULL;
	char *rest;
	char *name;

	if (file_read(AT_FDCWD, ON_DEMAND, TABLE_MAX, &table, NULL) < 0)
		return false;
	files = modprobe_find(table, alias);
	if (!files)
		return false;
	rest = files;
	while ((name = strsep(&rest, " ")))
		if (*name && load(name) < 0)
			return false;
	return true;
}

int modprobe_main(const char *alias)
{
	return modprobe_load(alias) ? 0 : 1;
}

void modprobe_announce(void)
{
	autoclose int dir = -1;
	struct error err;

	if (access(ON_DEMAND, F_OK) < 0)
		return;
	dir = open(ASK, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || kernel_file_write(dir, "modprobe", "/init", &err) < 0)
		log_warn("no modules on demand: cannot write \"" ASK "/modprobe\"");
}
