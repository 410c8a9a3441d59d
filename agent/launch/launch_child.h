/*
 * The child's side of agent/pod/launch.h: what becomes a container process.
 */
#ifndef AGENT_LAUNCH_CHILD_H
#define AGENT_LAUNCH_CHILD_H

/* main() of the child: `/init launch`, its request on descriptor 3. Never returns on
 * success. */
int launch_child_main(void);

#endif
