/*
 * A container for tests: a busybox root file system in a temporary directory, a cgroup, and a
 * default spec as `ctr oci spec` writes it, to be changed by the test before it runs. Needs root,
 * as every container does.
 */
#ifndef TEST_UNIT_AGENT_CONTAINER_BENCH_H
#define TEST_UNIT_AGENT_CONTAINER_BENCH_H

#include <stdbool.h>

#include "agent/pod/launch.h"
#include "common/error.h"
#include "proto/oci.pb-c.h"

struct cgroup;

#define BENCH_OUTPUT_MAX 65536
#define BENCH_ARGS_MAX   4

struct bench {
	struct ev_loop *loop;
	char dir[64]; /* "<dir>/rootfs" is the root file system */
	char rootfs[96];
	struct cgroup *cgroup;
	int guest_cgroup; /* the root of all */
	Grpc__Spec *spec;
	int pid_namespace;   /* that it joins; -1: as the spec says */
	struct launch *init; /* of the container, while it runs */
	/* What the last process did: */
	bool created; /* it got as far as that */
	struct error err;
	char output[BENCH_OUTPUT_MAX];
	int status;
};

void bench_init(struct bench *bench);
void bench_fini(struct bench *bench);

/* A new pid namespace with a process that sleeps, a child of who calls, until that ends. */
int bench_new_pid_namespace(void);

/* Sets the command of @process: a shell's if it has a space. There is room for arguments. */
void bench_command(Grpc__Process *process, const char *command);

/* A copy of the container's process, to be an exec's. */
Grpc__Process *bench_process(const struct bench *bench);

/* The container gets the seccomp profile of a config.json. */
void bench_seccomp(struct bench *bench, const char *json);

/* Runs the container's init to its end; 0, or the error's code in bench->err. */
int bench_run(struct bench *bench);

/* Asserts that the container's init, with this command, starts; or that it does not, and why. */
void bench_runs(struct bench *bench, const char *command);
void bench_refuses(struct bench *bench, const char *command, enum error_code code,
                   const char *text);

/* Starts it and leaves it running as bench->init. */
int bench_start(struct bench *bench);

/* Runs another process in it to its end. */
int bench_exec(struct bench *bench, const Grpc__Process *process);

/* What the last process wrote has, or has not, @text in it. */
void bench_has(const struct bench *bench, const char *text);
void bench_has_not(const struct bench *bench, const char *text);

/* It has @lines as whole lines, one after the other; without the last line's end. */
void bench_has_lines(const struct bench *bench, const char *lines);

/* A file in the root file system. */
void bench_write(const struct bench *bench, const char *name, const char *text, unsigned int mode);

#endif
