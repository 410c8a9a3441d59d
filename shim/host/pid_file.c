#include "shim/host/pid_file.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/file.h"
#include "common/mem.h"

#define NAME     "init.pid"
#define TEXT_MAX 20

int pid_file_write(const char *bundle, pid_t pid, struct error *err)
{
	autofree char *path = mem_printf("%s/" NAME, bundle);
	char text[TEXT_MAX];
	int len = snprintf(text, sizeof(text), "%d", (int)pid);

	return file_write(AT_FDCWD, path, 0600, text, len, err);
}

pid_t pid_file_read(const char *bundle)
{
	autofree char *path = mem_printf("%s/" NAME, bundle);
	autofree char *text = NULL;
	char *end;
	long pid;

	if (file_read(AT_FDCWD, path, TEXT_MAX, &text, NULL) < 0)
		return 0;
	pid = strtol(text, &end, 10);
	return end != text && pid > 0 && pid <= INT_MAX ? (pid_t)pid : 0;
}
