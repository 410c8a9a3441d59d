/*
 * The table of configuration keys.
 */
#ifndef SHIM_CONFIG_KEYS_H
#define SHIM_CONFIG_KEYS_H

#include <stddef.h>

enum config_type {
	CONFIG_STRING,  /* char * */
	CONFIG_PATH,    /* char *: absolute, or empty */
	CONFIG_BOOLEAN, /* bool */
	CONFIG_INTEGER, /* int */
	CONFIG_SECONDS, /* int, in milliseconds */
	CONFIG_RATE,    /* int64_t: 0 or more */
	CONFIG_CHOICE,  /* int: the index in choices */
	CONFIG_FIXED,   /* one choice: there is nothing to keep */
};

struct config_key {
	const char *table;
	const char *name; /* NULL ends the keys */
	enum config_type type;
	size_t offset;       /* in struct config */
	const char *initial; /* as it would be written */
	int min;
	int max;
	const char *const *choices; /* NULL-terminated */
	const char *meaning;        /* for docs/configuration.md */
};

extern const struct config_key config_keys[]; /* ordered by table */

#endif
