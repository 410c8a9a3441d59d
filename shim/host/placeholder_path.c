#include "shim/host/placeholder_path.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/mem.h"

#define PROGRAM "kata-placeholder"

bool placeholder_is_meant(const char *path)
{
	autofree char *link = NULL;
	char program[PATH_MAX];
	const char *base;
	ssize_t n;
	int pid;

	if (sscanf(path, "/proc/%d/ns/", &pid) != 1)
		return false;
	link = mem_printf("/proc/%d/exe", pid);
	n = readlink(link, program, sizeof(program) - 1);
	if (n < 0)
		return false;
	program[n] = '\0';
	base = strrchr(program, '/');
	return base && !strcmp(base + 1, PROGRAM);
}
