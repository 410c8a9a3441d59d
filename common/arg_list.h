/*
 * The arguments of a command, made one after the other: argv in one piece of memory.
 */
#ifndef COMMON_ARG_LIST_H
#define COMMON_ARG_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"

struct arg_list {
	struct buf text; /* the arguments so far, each with its NUL */
	size_t count;
	bool full; /* something did not fit */
};

#define ARG_LIST_INIT(maximum)                                                                     \
	{                                                                                          \
		.text = BUF_INIT(maximum)                                                          \
	}

/* One more argument; or a part of the next one, which arg_list_end() ends. */
void arg_list_add(struct arg_list *list, const char *text);
void arg_list_print(struct arg_list *list, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void arg_list_end(struct arg_list *list);

/* argv, ended by NULL: free() it. NULL when the list has passed its maximum. The list is empty
 * again. */
char **arg_list_finish(struct arg_list *list);

#endif
