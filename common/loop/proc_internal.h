/*
 * Between the two sides of a fork: proc.c is the parent's, proc_child.c the child's.
 */
#ifndef COMMON_PROC_INTERNAL_H
#define COMMON_PROC_INTERNAL_H

#include "common/loop/proc.h"

/* What a child that could not start writes to its parent; the pointer is good in both. */
struct proc_failure {
	const char *step;
	int cause; /* errno */
};

/*
 * Becomes what @spec says. @report_fd is closed when it is: its end of file is the success, and
 * before that comes a struct proc_failure, if any.
 */
_Noreturn void proc_child(const struct proc_spec *spec, int report_fd);

#endif
