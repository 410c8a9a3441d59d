/*
 * Small allocations: they abort when memory is out. A size that comes from
 * outside is checked against a named limit before it gets here.
 */
#ifndef COMMON_MEM_H
#define COMMON_MEM_H

#include <stddef.h>

#include "common/cleanup.h"

void *mem_alloc(size_t size); /* zeroed; free() it */
void *mem_realloc(void *p, size_t size);
void *mem_dup(const void *data, size_t size);
char *mem_strdup(const char *s);                                              /* NULL gives NULL */
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* free() it */

#define mem_new(type) ((type *)mem_alloc(sizeof(type)))

#endif
