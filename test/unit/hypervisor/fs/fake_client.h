/*
 * A guest's FUSE client without a queue: its requests go straight to the server.
 */
#ifndef TEST_UNIT_HYPERVISOR_FS_FAKE_CLIENT_H
#define TEST_UNIT_HYPERVISOR_FS_FAKE_CLIENT_H

#include <linux/fuse.h>
#include <stddef.h>
#include <stdint.h>

#include "hypervisor/fs/fs.h"

#define ANSWER_MAX 8192

struct fake_client {
	struct fs fs;
	char dir[64]; /* the directory that is served, for the test as the host */
	uint32_t pid; /* the guest's process */
	char answer[ANSWER_MAX] __attribute__((aligned(8)));
	size_t answer_size; /* without its header */
	size_t room;        /* the guest has for it */
	uint32_t uid;       /* of the guest's process */
	uint32_t gid;
};

/* A new directory; the working directory becomes /proc/self/fd. */
void fake_client_init(struct fake_client *client, enum fs_cache cache);
void fake_client_fini(struct fake_client *client);

/* Sends a request of @size bytes after the header; 0 or the negative errno of the answer. */
int fake_client_send(struct fake_client *client, uint32_t opcode, uint64_t node, const void *body,
                     size_t size);
/* The same of arguments, then one or two texts (NULL: none). */
int fake_client_call(struct fake_client *client, uint32_t opcode, uint64_t node, const void *args,
                     size_t size, const char *text, const char *more);

/* The node of a name in the root directory; 0: none. */
uint64_t fake_client_lookup(struct fake_client *client, const char *name);
/* A handle of it, as open(2)'s @flags say; *@out_flags: FOPEN_*. Negative: the errno. */
int64_t fake_client_open(struct fake_client *client, uint64_t node, uint32_t flags,
                         uint32_t *out_flags);
int fake_client_write(struct fake_client *client, uint64_t node, uint64_t handle, uint64_t offset,
                      const char *text, uint32_t flags, uint32_t write_flags);

/* What the host has. */
void fake_client_host_write(struct fake_client *client, const char *name, const char *text);
void fake_client_host_read(struct fake_client *client, const char *name, char *out, size_t size);
char *fake_client_path(struct fake_client *client, const char *name); /* free() it */

#endif
