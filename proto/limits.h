/*
 * How much of each kind there may be at once in one pod, where shim and agent must agree. One number
 * is chosen, and the others follow from it: every exec that may run can also be waited for, and
 * signals, Stats and Delete have room of their own beside all of them.
 *
 *   containers of a pod    LIMIT_CONTAINERS   refused by the agent, at CreateContainer
 *   execs of a container   LIMIT_EXECS        refused by the shim, at Exec; by the agent, at its call
 *   waits for an end       LIMIT_PARKED       one for each process, counted apart from calls, on
 *                                             both sides of the agent's connection
 *   other calls            LIMIT_CALLS        of one connection, each with a deadline
 *
 *   streams                LIMIT_STREAMS      of all processes; refused by the vsock device, when
 *                                             they are opened
 *
 * An init or an exec has up to three streams, so fewer execs run with streams than without: the vsock device
 * keeps up to 64 KiB of each that the guest has sent and nobody has read.
 */
#ifndef PROTO_LIMITS_H
#define PROTO_LIMITS_H

#define LIMIT_CONTAINERS 64

#define LIMIT_EXECS  4096
#define LIMIT_PARKED (16 * LIMIT_EXECS) /* abandoned Waits of containerd's are among them */
#define LIMIT_CALLS  1024

#define LIMIT_STREAMS_OF_PROCESS 3
#define LIMIT_EXECS_STREAMING    250 /* with all three, beside one init; fewer beside more */
#define LIMIT_STREAMS            (LIMIT_STREAMS_OF_PROCESS * (LIMIT_EXECS_STREAMING + 1)) /* the init */

/* Of the network: of one interface, and of one call. More are refused, and named. */
#define LIMIT_ADDRESSES     256
#define LIMIT_LINK_SETTINGS 256
#define LIMIT_ROUTES        4096
#define LIMIT_RULES         1024
#define LIMIT_NEIGHBOURS    1024

_Static_assert(LIMIT_PARKED > LIMIT_EXECS + LIMIT_CONTAINERS + 1,
               "each exec of one container, the inits and GetOOMEvent wait at once");
_Static_assert(LIMIT_STREAMS > LIMIT_STREAMS_OF_PROCESS * LIMIT_CONTAINERS,
               "each init has its own");

#endif
