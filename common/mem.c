#include "common/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void *abort_if_null(void *p)
{
	if (!p)
		abort();
	return p;
}

void *mem_alloc(size_t size)
{
	return abort_if_null(calloc(1, size ? size : 1));
}

void *mem_realloc(void *p, size_t size)
{
	return abort_if_null(realloc(p, size ? size : 1));
}

void *mem_dup(const void *data, size_t size)
{
	void *p = mem_alloc(size);

	if (size)
		memcpy(p, data, size);
	return p;
}

char *mem_strdup(const char *s)
{
	return s ? abort_if_null(strdup(s)) : NULL;
}

char *mem_printf(const char *fmt, ...)
{
	char *text = NULL;
	va_list args;
	int n;

	va_start(args, fmt);
	n = vasprintf(&text, fmt, args);
	va_end(args);
	return n < 0 ? abort_if_null(NULL) : text;
}
