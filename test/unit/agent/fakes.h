/*
 * What stands in for the parts of the agent that need root and a kernel of their own.
 */
#ifndef TEST_UNIT_AGENT_FAKES_H
#define TEST_UNIT_AGENT_FAKES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define FAKE_CHILDREN_MAX 256
#define FAKE_KILLED_EARLY 99

struct fake_child {
	pid_t pid;
	int cgroup_fd;
	bool joins_pids; /* a pid namespace that is there already */
};
struct fake_namespaces {
	int prepared;
	int joined;
	bool wait; /* joins do, until fake_namespaces_let() */
};
extern struct fake_namespaces fake_namespaces;
void fake_namespaces_let(void);

extern struct fake_child fake_children[FAKE_CHILDREN_MAX];
extern size_t fake_nchildren;

struct fake_cgroup {
	int made;
	int alive; /* made and not removed */
	int kills;
	int busy; /* the next removals that fail with EBUSY */
	bool frozen;
	int looks_to_freeze; /* before all have stopped */
	bool refuse_limits;
	bool refuse_kill;
	const char *directory; /* of the next ones made, for their files; NULL: none */
	bool blind;            /* whether it is frozen cannot be read */
};
extern struct fake_cgroup fake_cgroup;

#endif
