/*
 * What the tests of child processes share, and a file system that never answers.
 */
#ifndef TEST_PROC_BENCH_H
#define TEST_PROC_BENCH_H

#include <stdbool.h>

struct ev_loop;
struct proc;

#define SH(script)                                                                                 \
	(const char *const[])                                                                      \
	{                                                                                          \
		"/bin/sh", "-c", script, NULL                                                      \
	}

void proc_bench_keep_status(void *status, int value);
void proc_bench_assert_no_child(void);
/* Runs the loop until no child is left, not even a zombie; false after @ms. */
bool proc_bench_run_until_no_child(struct ev_loop *loop, int ms);

/* test/lib/stuck_fs.c, in a mount namespace of the test's own. */
struct stuck_fs {
	char dir[32];
	int said; /* its standard output */
	struct proc *proc;
};

void stuck_fs_start(struct ev_loop *loop, struct stuck_fs *fs);
void stuck_fs_stop(struct stuck_fs *fs);
void stuck_fs_expect(const struct stuck_fs *fs, const char *word);

#endif
