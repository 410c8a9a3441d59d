/*
 * How many descriptors are open: more than before, and one was left. Their numbers say nothing: a
 * test runs among others and inherits what those have open, with holes between.
 */
#ifndef TEST_UNIT_OPEN_DESCRIPTORS_H
#define TEST_UNIT_OPEN_DESCRIPTORS_H

#include <fcntl.h>

static inline int open_descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

#endif
