/*
 * init.pid in a container's bundle, as runc's shim writes it: the pid that clients were told, for
 * the exit that `delete` reports of a container whose shim was killed. It goes with the bundle.
 */
#ifndef SHIM_PID_FILE_H
#define SHIM_PID_FILE_H

#include <sys/types.h>

struct error;

int pid_file_write(const char *bundle, pid_t pid, struct error *err);
/* 0 if the file is missing or invalid. */
pid_t pid_file_read(const char *bundle);

#endif
