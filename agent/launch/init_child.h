/*
 * The child's side of agent/pod/init.h: what becomes a container process.
 */
#ifndef AGENT_INIT_CHILD_H
#define AGENT_INIT_CHILD_H

/* main() of the child: `/init container-init`, its request on descriptor 3. Never returns on
 * success. */
int init_child_main(void);

#endif
