/*
 * Lists of CPUs, or of NUMA nodes, as the kernel writes them: "0-3,7" (cpuset(7), "List format").
 */
#ifndef COMMON_CPU_LIST_H
#define COMMON_CPU_LIST_H

#include <sched.h>

struct error;

/* Adds what @text lists to @set. "" lists nothing; CPU_SETSIZE is the number after the last. */
int cpu_list_parse(const char *text, cpu_set_t *set, struct error *err);

#endif
