/*
 * One request of the guest's FUSE client, as it lies in a chain of guest memory, and the answer to
 * it. All bytes come from the guest, which may change them at any moment: what is looked at is a
 * copy, and each length is checked. The data of READ and WRITE alone are used where they lie.
 */
#ifndef HYPERVISOR_FS_REQUEST_H
#define HYPERVISOR_FS_REQUEST_H

#include <linux/fuse.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define REQUEST_IOV_MAX  1100         /* pieces of one chain: a queue's, and where regions end */
#define REQUEST_BODY_MAX (72U << 10)  /* an extended attribute with its name */
#define REPLY_BODY_MAX   (128U << 10) /* a directory's entries */

/* What the guest has in one place after the other; consumed from the front. */
struct pieces {
	struct iovec *iov;
	unsigned int count;
	size_t bytes;
};

/* Copies at most @size bytes off the front; the number of bytes. */
size_t pieces_take(struct pieces *pieces, void *to, size_t size);
size_t pieces_put(struct pieces *pieces, const void *from, size_t size);
/* The first @size bytes, which are there, become pieces of their own in @iov: @size of them at most. */
struct pieces pieces_split(struct pieces *pieces, size_t size, struct iovec *iov);
void pieces_limit(struct pieces *pieces, size_t bytes); /* no more than that */

struct request {
	struct fuse_in_header header;
	char *body; /* what follows the header: REQUEST_BODY_MAX */
	size_t size;
	size_t at;            /* what has been taken of it */
	struct pieces data;   /* WRITE: what follows its arguments */
	struct pieces answer; /* what follows the answer's header */
	char *reply;          /* the answer: REPLY_BODY_MAX */
	size_t reply_size;
	size_t in_place; /* bytes of it that are in the guest's memory already */
};

/* The next @size bytes of the body; NULL: there are fewer. */
void *request_take(struct request *request, size_t size);
/* The next text. *@out ends with the request. 0 or -EINVAL */
int request_take_text(struct request *request, const char **out);
/* The same, if it can be the name of a file in a directory: -EINVAL, -ENAMETOOLONG. */
int request_take_name(struct request *request, const char **out);

/* Room for @size more bytes of the answer; NULL: the guest has none, or an answer is not as long. */
void *request_add(struct request *request, size_t size);
/* How many bytes of answer the guest takes, of those that request_add() can still give. */
size_t request_room(const struct request *request);

#endif
