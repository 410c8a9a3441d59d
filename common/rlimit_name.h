/*
 * The names of resource limits as the OCI runtime specification has them ("RLIMIT_NOFILE"), and the
 * kernel's numbers for them (getrlimit(2)).
 */
#ifndef COMMON_RLIMIT_NAME_H
#define COMMON_RLIMIT_NAME_H

#include <sys/resource.h>

struct rlimit_name {
	const char *name;
	int resource;
};

extern const struct rlimit_name rlimit_names[RLIM_NLIMITS]; /* in the order of the names */

int rlimit_name_find(const char *name); /* the number; -1: unknown */

#endif
