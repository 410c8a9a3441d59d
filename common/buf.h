/*
 * A growing byte buffer with a maximum, used as a queue: append at the end, consume at the front.
 * Zero-initialise with BUF_INIT(max); memory is taken on the first append and freed by buf_fini().
 */
#ifndef COMMON_BUF_H
#define COMMON_BUF_H

#include <stdbool.h>
#include <stddef.h>

struct buf {
	char *data; /* the first unread byte is data[start] */
	size_t start;
	size_t len; /* unread bytes */
	size_t cap;
	size_t max; /* len never passes it */
};

#define BUF_INIT(maximum)                                                                          \
	{                                                                                          \
		.max = (maximum)                                                                   \
	}

void buf_fini(struct buf *buf); /* frees the memory; the buffer is empty and usable again */

/* Makes room for @extra bytes and returns where they go, or NULL past the maximum. Then
 * buf_added(). */
void *buf_reserve(struct buf *buf, size_t extra);
void buf_added(struct buf *buf, size_t n);

/* Returns 0, or -ENOBUFS and changes nothing when the maximum would be passed. */
int buf_append(struct buf *buf, const void *data, size_t n);
int buf_printf(struct buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

const char *buf_data(const struct buf *buf); /* the unread bytes; valid until the next change */
void buf_consume(struct buf *buf, size_t n); /* n <= len */
size_t buf_room(const struct buf *buf);

#endif
