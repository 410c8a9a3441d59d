/*
 * What ps(1) shows of a process: the memory that its arguments are in (proc(5), /proc/PID/cmdline).
 */
#ifndef SHIM_TITLE_H
#define SHIM_TITLE_H

/* @argv as main() got it; overwritten from its start, cut to the room that the arguments have. The
 * text may point into it. */
void title_set(char **argv, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
