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
 * has named within VSOCK_STREAM_CLAIM_S seconds. Of a host that has not taken the hello three ports
 * of 0 mean that calls read and write (agent/pod/client.h).
 */
#define VSOCK_PORT_STREAMS   1027
#define VSOCK_STREAM_CLAIM_S 30

/*
 * The relay between the loopbacks of the pod's namespace on the host and of the guest. The shim
 * opens a stream for each connection, and says first what it is, in one line of at most
 * RELAY_LINE_MAX bytes with its newline:
 *
 *	port:<number>   the host's end is connected to whom the agent connects to at this TCP port of
 *	                the guest's localhost, 127.0.0.1 or else ::1. Each side's end of its direction
 *	                goes on to the other. A stream that is closed without that, or while the other
 *	                direction is open, is a reset.
 *	resolver:<address>  a nameserver that a resolv.conf of the pod names, and that only the pod's
 *	                namespace on the host has: of 127.0.0.0/8. The agent listens there, port 53,
 *	                and says RELAY_READY; then RELAY_WANT for each connection to the nameserver
 *	                that it needs. The shim answers one that it cannot make with RELAY_FAILED. The
 *	                agent stops to listen when the stream ends.
 *	answer:<address>  such a connection.
 *
 * The agent serves RELAY_CONNECTIONS_MAX at once, and closes a stream that has not said what it is
 * within RELAY_LINE_TIMEOUT_S seconds.
 */
#define VSOCK_PORT_RELAY      1028
#define RELAY_TO_PORT         "port:"
#define RELAY_RESOLVER        "resolver:"
#define RELAY_ANSWER          "answer:"
#define RELAY_READY           "+" /* one byte each */
#define RELAY_WANT            "w"
#define RELAY_FAILED          "-"
#define RELAY_RESOLVERS_MAX   3 /* as resolv.conf(5) */
#define RELAY_LINE_MAX        32
#define RELAY_LINE_TIMEOUT_S  10
#define RELAY_CONNECTIONS_MAX 256

/*
 * The agent announces itself: once its listeners are up it connects to CID 2, this port plus its
 * own CID, and writes one line, "hello <version> <feature>...\n" (proto/features.h), of at most
 * VSOCK_HELLO_MAX bytes; it keeps the connection open for as long as it lives. (The kernel's
 * vhost-vsock has one port space for all VMs of a host.) A host that has taken it is a shim of ours.
 */
#define VSOCK_PORT_HELLO 0x40000000u
#define VSOCK_HELLO_MAX  256

#endif
