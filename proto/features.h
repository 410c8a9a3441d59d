/*
 * What our agent can do beyond upstream's protocol: words in its hello (proto/vsock_ports.h), and
 * AgentDetails.extra_features for tools. A word that is not known is ignored, so that either side
 * may be the newer one.
 *
 * Each of our own fields in upstream's messages comes with a feature. proto3 drops fields that are
 * unknown, so the shim sends none to an agent without the word:
 *
 *   clock          sets the guest's clock once, as upstream's protocol can (shim/pod/guest_clock.h)
 *   host-limits    warns, and goes on: containers have the guest's limits where their specs name
 *                  none. What a spec names is set all the same, and no protection is lost
 *   signal-all     refuses the signal by name. SIGKILL is sent: with an empty exec_id it is to all
 *                  processes with any agent
 *   pid-namespace-of, sandbox-sysctls
 *                  refuses the container, or the pod, by name; without the first one, a spec's
 *                  namespaces are as upstream's agent has them (shim/spec/guest_spec.h)
 *   exit-details   goes without: kills for lack of memory come by GetOOMEvent alone, and the end of
 *                  a stream says that its output is complete
 *   container-hooks  refuses the container by name
 *   bind-storages  goes without: a Unix socket in a volume of the host is that of one container
 *   memory-volumes  goes without: a volume in memory is in the host's
 *   device-storages  goes without: a device that is bound has the mode and owner of the guest's
 *   huge-pages     goes without: the guest has none, and a volume of them is the host's
 *   relay          goes without: nobody listens for the guest on the pod's loopback on the host
 *   network-details  goes without for a namespace that has nothing but what upstream's fields can
 *                  say, and refuses others by name
 *   link-settings  goes without: the cards have the settings of the guest's kernel
 *   cpus-offline   goes without: without KVM a machine keeps the vCPUs that it has got
 *   streams        goes without: stdio goes by upstream's calls, and through the shim
 *                  (shim/stdio/guest_io.h)
 */
#ifndef PROTO_FEATURES_H
#define PROTO_FEATURES_H

#include <protobuf-c/protobuf-c.h>
#include <stdint.h>

struct error;

#define FEATURE_FIELD_FIRST 10000 /* our own fields have numbers from here */

enum feature {
	FEATURE_CLOCK = 1 << 0,       /* GuestDetailsRequest.clock, SetGuestDateTimeRequest.Shift */
	FEATURE_HOST_LIMITS = 1 << 1, /* CreateSandboxRequest.host_rlimits, .host_sysctls */
	FEATURE_SIGNAL_ALL = 1 << 2,  /* SignalProcessRequest.all */
	FEATURE_EXIT_DETAILS = 1 << 3,     /* WaitProcessRequest.with_oom, WaitProcessResponse */
	FEATURE_NETWORK_DETAILS = 1 << 4,  /* of types.proto, UpdateRoutes, AddARPNeighbors */
	FEATURE_PID_NAMESPACE_OF = 1 << 5, /* CreateContainerRequest.pid_namespace_of */
	FEATURE_SANDBOX_SYSCTLS = 1 << 6,  /* CreateSandboxRequest.sysctls */
	FEATURE_BIND_STORAGES = 1 << 7,    /* a storage's driver "bind": a tree that is there */
	FEATURE_RELAY = 1 << 8,            /* streams to VSOCK_PORT_RELAY (proto/vsock_ports.h) */
	FEATURE_LINK_SETTINGS = 1 << 9,    /* Interface.settings */
	FEATURE_CONTAINER_HOOKS = 1 << 10, /* Hooks.CreateContainer, .StartContainer of a spec */
	FEATURE_MEMORY_VOLUMES = 1 << 11,  /* mounts below GUEST_EPHEMERAL (proto/guest_dirs.h) */
	FEATURE_STREAMS = 1 << 12,         /* streams to VSOCK_PORT_STREAMS */
	FEATURE_DEVICE_STORAGES = 1 << 13, /* a storage's driver "device" (proto/guest_dirs.h) */
	FEATURE_CPUS_OFFLINE = 1 << 14,    /* OnlineCPUMemRequest.exact */
	FEATURE_HUGE_PAGES = 1 << 15,      /* the guest keeps what its containers' limits say */
};

/* The words, as the agent says them; NULL-terminated. */
const char *const *features_words(void);

/* A set of enum feature, from @words with blanks between them. */
unsigned int features_parse(const char *words);

/* ERROR_UNIMPLEMENTED: @feature is not in @features, "@what: not supported by the guest's agent". */
int features_require(unsigned int features, enum feature feature, const char *what,
                     struct error *err);

/* The same for each of our own fields that @request, or a message in it, has set; what is missing is
 * named as "SignalProcessRequest.all". */
int features_check(unsigned int features, const ProtobufCMessage *request, struct error *err);

/* The feature that a field of our own comes with; 0: it has been given none. */
unsigned int features_of_field(const ProtobufCMessageDescriptor *message, uint32_t number);

#endif
