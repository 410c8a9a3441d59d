#include "shim/host/title.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"

void title_set(char **argv, const char *fmt, ...)
{
	autofree char *text = NULL;
	char *start = argv[0], *end = start;
	size_t room, len;
	va_list args;
	int n;

	va_start(args, fmt);
	n = vasprintf(&text, fmt, args);
	va_end(args);
	if (n < 0)
		abort();
	do /* they lie one behind the other */
		end += strlen(*argv) + 1;
	while (*++argv == end);
	room = end - start;
	len = strlen(text) < room ? strlen(text) : room - 1;
	memset(start, 0, room);
	memcpy(start, text, len);
}
