#include "common/buf.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/mem.h"

#define BUF_FIRST 512

void buf_fini(struct buf *buf)
{
	free(buf->data);
	*buf = (struct buf)BUF_INIT(buf->max);
}

size_t buf_room(const struct buf *buf)
{
	return buf->max - buf->len;
}

void *buf_reserve(struct buf *buf, size_t extra)
{
	size_t cap = buf->cap ? buf->cap : BUF_FIRST;

	if (extra > buf_room(buf))
		return NULL;
	if (buf->start && buf->start + buf->len + extra > buf->cap) {
		memmove(buf->data, buf->data + buf->start, buf->len);
		buf->start = 0;
	}
	while (cap < buf->len + extra)
		cap *= 2;
	if (cap > buf->cap) {
		buf->data = mem_realloc(buf->data, cap);
		buf->cap = cap;
	}
	return buf->data + buf->start + buf->len;
}

void buf_added(struct buf *buf, size_t n)
{
	assert(buf->start + buf->len + n <= buf->cap);
	buf->len += n;
}

int buf_append(struct buf *buf, const void *data, size_t n)
{
	void *to = buf_reserve(buf, n);

	if (!to)
		return -ENOBUFS;
	if (n)
		memcpy(to, data, n);
	buf_added(buf, n);
	return 0;
}

int buf_printf(struct buf *buf, const char *fmt, ...)
{
	autofree char *text = NULL;
	va_list args;
	int n;

	va_start(args, fmt);
	n = vasprintf(&text, fmt, args);
	va_end(args);
	if (n < 0)
		abort();
	return buf_append(buf, text, n);
}

const char *buf_data(const struct buf *buf)
{
	return buf->data ? buf->data + buf->start : "";
}

void buf_consume(struct buf *buf, size_t n)
{
	assert(n <= buf->len);
	buf->len -= n;
	buf->start = buf->len ? buf->start + n : 0;
}
