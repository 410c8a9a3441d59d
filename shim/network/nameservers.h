/*
 * The nameservers of a resolv.conf(5) that are at the loopback: in the network namespace of the
 * container, so on the host's side of a pod's. docker's file names 127.0.0.11.
 */
#ifndef SHIM_NAMESERVERS_H
#define SHIM_NAMESERVERS_H

#include <netinet/in.h>
#include <stddef.h>

struct error;

#define NAMESERVERS_MAX 3 /* that a resolver reads */

struct nameservers {
	struct in_addr all[NAMESERVERS_MAX];
	size_t n;
};

/* Of 127.0.0.0/8, each once. 127.0.0.1 is not among them: that is the guest's own, and on the host
 * it leads back there (loopback.h). */
void nameservers_parse(const char *text, struct nameservers *out);

/* The same of a file, which must be a regular one; without waiting. */
int nameservers_read(const char *path, struct nameservers *out, struct error *err);

#endif
