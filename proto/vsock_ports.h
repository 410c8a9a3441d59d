/*
 * The vsock ports between a shim and its guest's agent.
 */
#ifndef PROTO_VSOCK_PORTS_H
#define PROTO_VSOCK_PORTS_H

/* The agent's ttrpc server (upstream's default of agent.server_addr). */
#define VSOCK_PORT_AGENT 1024

/*
 * Stdio streams, opened by the shim before the call that names them. CreateContainer's and
 * ExecProcess's stdin_port, stdout_port and stderr_port say the port that each stream comes from
 * (the peer's port, as the guest sees it); 0 is /dev/null. The agent forgets a stream that no call
 * has named within VSOCK_STREAM_CLAIM_S seconds.
 */
#define VSOCK_PORT_STREAMS   1027
#define VSOCK_STREAM_CLAIM_S 30

/*
 * The agent announces itself: once its listeners are up it connects to CID 2, this port plus its
 * own CID, and writes one line, "hello <version> <feature>...\n" (proto/features.h), of at most
 * VSOCK_HELLO_MAX bytes; it keeps the connection open for as long as it lives. (The kernel's
 * vhost-vsock has one port space for all VMs of a host.)
 */
#define VSOCK_PORT_HELLO 0x40000000u
#define VSOCK_HELLO_MAX  256

#endif
