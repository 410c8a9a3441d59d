/*
 * How long the commands wait for another process. No configuration sets these: `start` and `delete`
 * read none.
 */
#ifndef SHIM_DEADLINES_H
#define SHIM_DEADLINES_H

struct deadlines {
	int server_ready_ms;  /* `start`, for its server */
	int start_ending_ms;  /* `start`, for the pod of this name that is ending */
	int delete_ending_ms; /* `delete`, for a pod that is ending */
	int bundle_look_ms;   /* the server, between two looks at whether its bundle is there */
};

/* The shim of a silent guest ends in 8 s: agent_stop_ms and vmm_stop_ms. containerd gives `delete`
 * 5 s. */
#define DEADLINES                                                                                  \
	{                                                                                          \
		.server_ready_ms = 10000, .start_ending_ms = 10000, .delete_ending_ms = 2000,      \
		.bundle_look_ms = 20000,                                                           \
	}

/* A test's executable has one of its own. */
struct deadlines deadlines_get(void);

#endif
