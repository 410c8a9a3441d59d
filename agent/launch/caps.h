/*
 * Capabilities of a container process (capabilities(7)), in two acts around the change of the user:
 * the bounding set goes while CAP_SETPCAP is there, the other sets are set last.
 *
 * A name that the library or the kernel does not know is left out, as runc does, and so is an
 * ambient capability that cannot be raised: the process has less, never more.
 */
#ifndef AGENT_CAPS_H
#define AGENT_CAPS_H

#include <stdint.h>

#include "proto/oci.pb-c.h"

struct error;

/* Sets as bit masks: bit n is capability number n. */
struct caps {
	uint64_t bounding;
	uint64_t effective;
	uint64_t inheritable;
	uint64_t permitted;
	uint64_t ambient;
};

/* @config NULL: none at all. */
struct caps caps_read(const Grpc__LinuxCapabilities *config);

/* Drops what is not in the bounding set; permitted ones outlive the change of the user. */
int caps_prepare(const struct caps *caps, struct error *err);

/* All sets; @kept, which the process has, stays permitted and effective until caps_drop_kept(). */
int caps_apply(const struct caps *caps, uint64_t kept, struct error *err);

/* One capset(2). */
int caps_drop_kept(const struct caps *caps, struct error *err);

/* Ambient ones that the kernel does not raise, as they are not permitted and inheritable. */
uint64_t caps_left_out(const struct caps *caps);

#endif
