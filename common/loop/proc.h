/*
 * A child process: spawned with its credentials and descriptors set in the one order that works,
 * watched by a pidfd, killed with its parent. A struct proc that is destroyed kills its process.
 * Nothing here waits for an end: what is destroyed or released is reaped by the loop when it ends,
 * and a process that SIGKILL does not end (uninterruptible sleep) is considered gone after
 * PROC_KILL_GRACE_MS. In ev_default_loop(), which reaps every child itself on SIGCHLD, an end is
 * reported all the same, mostly with the status PROC_UNKNOWN.
 */
#ifndef COMMON_PROC_H
#define COMMON_PROC_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/cleanup.h"
#include "common/error.h"

struct ev_loop;
struct proc;

#define PROC_PLACES           6 /* the numbers that a child's descriptor may be given */
#define PROC_KILL_GRACE_MS    3000
#define PROC_START_TIMEOUT_MS 5000 /* from fork to exec: all that proc_spawn() waits for */
#define PROC_STUCK            (-1) /* a status: not ended PROC_KILL_GRACE_MS after SIGKILL */
#define PROC_UNKNOWN          (-2) /* a status, that of reaper.h: the loop's SIGCHLD handling reaped it */

/* A descriptor the child gets: @fd of ours becomes @as of the child's (below PROC_PLACES, or the
 * same number: as < 0). */
struct proc_fd {
	int fd;
	int as;
};

struct proc_spec {
	const char *const *argv; /* argv[0] is the file to execute, a path; NULL-terminated */
	const char *path; /* the file to execute, for which argv[0] is but a name; NULL: argv[0] */
	/* A descriptor (O_PATH) of the file to execute, for which argv[0] is but a name; NULL: it is
	 * the path. */
	const int *program;
	/* Or, with argv NULL: what the child calls instead, on a copy of this process's memory.
	 * Returns the exit status; must not use the loop. No descriptor but those of @fds is open
	 * in it. */
	int (*main)(void *ctx);
	void *main_ctx;
	const char *const *envp; /* NULL: an empty environment */
	const struct proc_fd
		*fds; /* what is inherited beside 0, 1, 2; all other descriptors are closed */
	size_t nfds;
	uid_t uid; /* with a non-zero uid: groups dropped, gid and uid set, all capabilities gone */
	gid_t gid;
	const int *oom_score_adj; /* proc(5); NULL: as ours. Lowering it without the right to is no
	                             failure: it stays */
	const int *network;       /* a network namespace to enter (setns(2)); NULL: stays in ours */
	const int *mounts;        /* the same of a mount namespace, in whose root it begins then */
	const char *dir;          /* the working directory, there; NULL: as ours */
	/* A directory, no link: becomes the root and the working directory; NULL: stays in ours */
	const char *root;
	bool no_network;     /* an empty network namespace: no abstract socket of others either */
	bool no_shared_core; /* memory that is shared with others is left out of a core dump */
	bool no_new_privs;
	bool own_pids;     /* a PID namespace: its descendants end with it, stopped or not */
	bool no_pdeathsig; /* loggers only: they end at end of file */
};

/* @status as of waitpid(2), PROC_STUCK or PROC_UNKNOWN. Called once, from the loop; destroying
 * @proc in it is allowed. */
typedef void proc_exit_fn(void *ctx, int status);

/*
 * Forks and executes, or calls; returns when that has begun, or with the step that failed in @err.
 * 0, 1 and 2 are /dev/null where @spec does not say otherwise. The order after fork is: groups,
 * gid, uid, capabilities, then PR_SET_PDEATHSIG (prctl(2): a change of the uid clears it), then
 * whether the parent still lives, then exec. A root directory is entered before the groups.
 */
int proc_spawn(struct ev_loop *loop, const struct proc_spec *spec, proc_exit_fn *on_exit, void *ctx,
               struct proc **out, struct error *err);

/*
 * The same without waiting: returns when the child is forked. @on_started comes once, from the
 * loop: with NULL when it has executed, with the step that failed, or when PROC_START_TIMEOUT_MS
 * have passed; after an error @on_exit does not come. A child that is killed while it starts may
 * report either. @proc may be destroyed in both.
 */
int proc_start(struct ev_loop *loop, const struct proc_spec *spec, done_fn *on_started,
               proc_exit_fn *on_exit, void *ctx, struct proc **out, struct error *err);

pid_t proc_pid(const struct proc *proc);
/* By pidfd; -ESRCH when it has ended. After SIGKILL the callback comes within
 * PROC_KILL_GRACE_MS. */
int proc_kill(struct proc *proc, int sig);
bool proc_ended(const struct proc *proc); /* its exit has been reported */
/* NULL is fine; no callback. It runs on, and is reaped when it ends while the loop lives. */
void proc_release(struct proc *proc);
void proc_destroy(struct proc *proc); /* as proc_release(), after SIGKILL */

/* "exited with status 3", "was killed by signal 9 (Killed)" or "did not end within 3000 ms of
 * SIGKILL", for error texts. */
void proc_describe(int status, char *text, size_t size);

CLEANUP_DESTROY(proc)

#endif
