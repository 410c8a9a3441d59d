#include "hypervisor/fs/request.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

typedef void copy_fn(char *piece, char *ours, size_t n);

static void copy_from_piece(char *piece, char *ours, size_t n)
{
	memcpy(ours, piece, n);
}

static void copy_to_piece(char *piece, char *ours, size_t n)
{
	memcpy(piece, ours, n);
}

static size_t copy(struct pieces *pieces, char *ours, size_t size, copy_fn *one)
{
	size_t done = 0;

	while (done < size && pieces->count) {
		struct iovec *first = pieces->iov;
		size_t n = size - done < first->iov_len ? size - done : first->iov_len;

		if (n)
			one(first->iov_base, ours + done, n);
		done += n;
		first->iov_base = (char *)first->iov_base + n;
		first->iov_len -= n;
		if (first->iov_len)
			break;
		pieces->iov++;
		pieces->count--;
	}
	pieces->bytes -= done;
	return done;
}

size_t pieces_take(struct pieces *pieces, void *to, size_t size)
{
	return copy(pieces, to, size, copy_from_piece);
}

size_t pieces_put(struct pieces *pieces, const void *from, size_t size)
{
	return copy(pieces, (char *)from, size, copy_to_piece);
}

struct pieces pieces_split(struct pieces *pieces, size_t size, struct iovec *iov)
{
	struct pieces split = { .iov = iov, .bytes = size };
	size_t left = size;

	while (left) {
		struct iovec *first = pieces->iov;
		size_t n = left < first->iov_len ? left : first->iov_len;

		if (n)
			iov[split.count++] = (struct iovec){ first->iov_base, n };
		first->iov_base = (char *)first->iov_base + n;
		first->iov_len -= n;
		left -= n;
		if (first->iov_len)
			break;
		pieces->iov++;
		pieces->count--;
	}
	pieces->bytes -= size;
	return split;
}

void pieces_limit(struct pieces *pieces, size_t bytes)
{
	size_t left = bytes;

	if (bytes >= pieces->bytes)
		return;
	pieces->bytes = bytes;
	for (unsigned int i = 0; i < pieces->count; i++) {
		struct iovec *piece = &pieces->iov[i];

		if (piece->iov_len >= left) {
			piece->iov_len = left;
			pieces->count = left ? i + 1 : i;
			return;
		}
		left -= piece->iov_len;
	}
}

void *request_take(struct request *request, size_t size)
{
	void *found = request->body + request->at;

	if (request->size - request->at < size)
		return NULL;
	request->at += size;
	return found;
}

int request_take_text(struct request *request, const char **out)
{
	const char *text = request->body + request->at;
	const char *end = memchr(text, '\0', request->size - request->at);

	if (!end)
		return -EINVAL;
	request->at = (size_t)(end + 1 - request->body);
	*out = text;
	return 0;
}

int request_take_name(struct request *request, const char **out)
{
	const char *name;
	int r = request_take_text(request, &name);

	if (r < 0)
		return r;
	if (!*name || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return -EINVAL;
	if (strlen(name) > NAME_MAX)
		return -ENAMETOOLONG;
	*out = name;
	return 0;
}

size_t request_room(const struct request *request)
{
	size_t room = request->answer.bytes;

	return (room < REPLY_BODY_MAX ? room : REPLY_BODY_MAX) - request->reply_size;
}

void *request_add(struct request *request, size_t size)
{
	void *added = request->reply + request->reply_size;

	if (request_room(request) < size)
		return NULL;
	request->reply_size += size;
	memset(added, 0, size);
	return added;
}
