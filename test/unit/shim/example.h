/*
 * Configurations as programs write them: the files in specs/.
 */
#ifndef TEST_UNIT_SHIM_EXAMPLE_H
#define TEST_UNIT_SHIM_EXAMPLE_H

#include <criterion/criterion.h>
#include <stdio.h>

#include "common/mem.h"

#define EXAMPLE_MAX 65536

/* To be freed. */
static inline char *example_read(const char *name)
{
	autofree char *path = mem_printf("%s/%s", EXAMPLE_DIR, name);
	char *text = mem_alloc(EXAMPLE_MAX);
	FILE *file = fopen(path, "r");

	cr_assert_not_null(file, "%s", path);
	cr_assert_gt(fread(text, 1, EXAMPLE_MAX - 1, file), 0);
	fclose(file);
	return text;
}

#endif
