/*
 * What our agent can do beyond upstream's protocol: words in its hello (proto/vsock_ports.h), and
 * AgentDetails.extra_features for tools. A word that is not known is ignored, so that either side
 * may be the newer one.
 */
#ifndef PROTO_FEATURES_H
#define PROTO_FEATURES_H

struct error;

enum feature {
	FEATURE_CLOCK = 1 << 0,       /* GuestDetailsRequest.clock, SetGuestDateTimeRequest.Shift */
	FEATURE_HOST_LIMITS = 1 << 1, /* CreateSandboxRequest.host_rlimits, .host_sysctls */
};

/* The words, as the agent says them; NULL-terminated. */
const char *const *features_words(void);

/* A set of enum feature, from @words with blanks between them. */
unsigned int features_parse(const char *words);

/* ERROR_UNIMPLEMENTED: @feature is not in @features, "@what: not supported by the guest's agent". */
int features_require(unsigned int features, enum feature feature, const char *what,
                     struct error *err);

#endif
