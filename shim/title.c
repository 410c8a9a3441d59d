#include "shim/title.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"

void title_set(char **argv, const char *fmt, ...)
{
	autofree char *text = NULL;
	char *end = argv[0];
	size_t room, len;
	va_list args;
	int n;

	va_start(args, fmt);
	n = vasprintf(&text, fmt, args);
	va_end(args);
	if (n < 0)
		abort();
	for (char **arg = argv; *arg && *arg == end; arg++) /* they lie one behind the other */
		end += strlen(*arg) + 1;
	room = end - argv[0];
	len = strlen(text) < room ? strlen(text) : room - 1;
	memset(argv[0], 0, room);
	memcpy(argv[0], text, len);
}
