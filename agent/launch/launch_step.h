/*
 * The steps of launch_child.c: functions that take the child further and return 0, or -errno with
 * @err set. What they make belongs to the process and goes with it.
 */
#ifndef AGENT_LAUNCH_STEP_H
#define AGENT_LAUNCH_STEP_H

#include <stdbool.h>

#include "agent/launch/caps.h"
#include "agent/launch/console.h"
#include "proto/launch.pb-c.h"

struct error;
struct seccomp;

struct child {
	const Launch__Request *request;
	const Grpc__Spec *spec;
	const Grpc__Process *process;
	const Grpc__User *user;
	int root; /* until it is "/" */
	struct console console;
	struct seccomp *seccomp; /* NULL: no profile */
	bool filter_first;       /* installed before the process can be seen, else before execve */
	bool no_new_privs;
	struct caps caps;
	bool in_cwd;
	char **environment;
	char *executable;
	int ahead; /* it, to be read ahead once all else is done; -1: it is not, or no more */
	char **arguments;
};

typedef int step_fn(struct child *child, struct error *err);

/* launch_container.c */
step_fn step_set_hostname;
step_fn step_write_sysctls;
step_fn step_open_rootfs;
step_fn step_make_mounts;
step_fn step_make_devices;
step_fn step_make_console;
step_fn step_make_cwd;
step_fn step_finish_mounts;
step_fn step_protect_paths;
step_fn step_mask_paths;
step_fn step_change_root;
step_fn step_run_create_hooks;
step_fn step_run_start_hooks;

/* launch_process.c */
step_fn step_start_session;
step_fn step_set_oom_score;
step_fn step_get_seccomp;
step_fn step_enter_namespaces;
step_fn step_join_pid_namespace;
step_fn step_join_keyring;
step_fn step_open_console;
step_fn step_hand_over_console;
step_fn step_connect_console;
step_fn step_control_console;
step_fn step_set_rlimits;
step_fn step_set_no_new_privs;
step_fn step_try_cwd;
step_fn step_become_user;
step_fn step_check_cwd;
step_fn step_set_caps;
step_fn step_make_environment;
step_fn step_find_executable;
step_fn step_make_arguments;
step_fn step_close_descriptors;
step_fn step_filter_first;
step_fn step_enter_pid_namespace;
step_fn step_wait_for_go;
step_fn step_filter_last;
step_fn step_execute;

#endif
