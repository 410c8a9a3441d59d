/*
 * The environment of a container process.
 */
#ifndef AGENT_ENVIRONMENT_H
#define AGENT_ENVIRONMENT_H

#include <stdbool.h>
#include <stddef.h>

struct error;

#define ENVIRONMENT_MAX (1 << 16) /* entries */

/* ERROR_INVALID_ARGUMENT for an entry without a name or without '='. */
int environment_check(char *const *entries, size_t count, struct error *err);

/* Whether HOME is missing or empty. */
bool environment_needs_home(char *const *entries, size_t count);

/*
 * @entries as execve(2) wants them, ended by NULL. Of a name that comes twice the last value
 * counts. HOME is @home where it is missing or empty; elsewhere @home may be NULL. free() the array;
 * its strings are @entries' own, HOME's aside, which lives as long as the process.
 */
char **environment_make(char *const *entries, size_t count, const char *home);

/* The value of @name, or NULL. */
const char *environment_get(char *const *environment, const char *name);

#endif
