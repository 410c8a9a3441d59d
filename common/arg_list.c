#include "common/arg_list.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/mem.h"

static void append(struct arg_list *list, const char *data, size_t len)
{
	if (buf_append(&list->text, data, len) < 0)
		list->full = true;
}

void arg_list_add(struct arg_list *list, const char *text)
{
	append(list, text, strlen(text));
	arg_list_end(list);
}

void arg_list_print(struct arg_list *list, const char *fmt, ...)
{
	autofree char *text = NULL;
	va_list args;
	int n;

	va_start(args, fmt);
	n = vasprintf(&text, fmt, args);
	va_end(args);
	if (n < 0)
		abort();
	append(list, text, (size_t)n);
}

void arg_list_end(struct arg_list *list)
{
	append(list, "", 1);
	list->count++;
}

char **arg_list_finish(struct arg_list *list)
{
	size_t pointers = (list->count + 1) * sizeof(char *);
	char **argv = NULL;

	if (!list->full) {
		char *text;

		argv = mem_alloc(pointers + list->text.len);
		text = (char *)argv + pointers;
		if (list->text.len)
			memcpy(text, buf_data(&list->text), list->text.len);
		for (size_t i = 0; i < list->count; i++) {
			argv[i] = text;
			text += strlen(text) + 1;
		}
	}
	buf_fini(&list->text);
	list->count = 0;
	list->full = false;
	return argv;
}
