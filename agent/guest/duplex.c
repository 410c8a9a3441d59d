#include "agent/guest/duplex.h"

#include <errno.h>
#include <ev.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/file.h"
#include "common/mem.h"

#define CHUNK (64 << 10)
#define TURNS 16 /* chunks of one direction before others have their turn */

struct end {
	int fd;
	ev_io io;
};

/* One direction. */
struct way {
	struct end *from, *to;
	struct buf kept; /* read, not written yet */
	bool has_ended;  /* the end of file of @from */
	bool is_shut;    /* and @to has been told */
};

struct duplex {
	struct ev_loop *loop;
	struct end ends[2];
	struct way ways[2];
	duplex_ended_fn *ended;
	void *ctx;
};

static void close_ends(struct duplex *duplex, bool reset)
{
	const struct linger at_once = { .l_onoff = 1 };

	for (int i = 0; i < 2; i++) {
		struct end *end = &duplex->ends[i];

		if (end->fd < 0)
			continue;
		ev_io_stop(duplex->loop, &end->io);
		if (reset)
			setsockopt(end->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		close(take_fd(&end->fd));
		buf_fini(&duplex->ways[i].kept);
	}
}

/* Returns 0 when all that is kept has been written or @to is full. */
static int flush(struct way *way)
{
	while (way->kept.len) {
		ssize_t n = send(way->to->fd, buf_data(&way->kept), way->kept.len, MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		buf_consume(&way->kept, (size_t)n);
	}
	return 0;
}

/* A peer of vsock that has reset the connection reads as one that has ended its direction, but it
 * takes nothing any more either (af_vsock.c). */
static bool is_reset(const struct way *way, const struct way *back)
{
	return !back->is_shut && send(way->from->fd, "", 0, MSG_NOSIGNAL) < 0 && errno == EPIPE;
}

/* Returns 1 when there may be more, 0 when it has to wait, or has ended. */
static int move_chunk(struct way *way, const struct way *back)
{
	char *chunk = buf_reserve(&way->kept, CHUNK);
	ssize_t n = recv(way->from->fd, chunk, CHUNK, 0);
	int r;

	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (n == 0) {
		way->has_ended = true;
		return is_reset(way, back) ? -ECONNRESET : 0;
	}
	buf_added(&way->kept, (size_t)n);
	r = flush(way);
	return r < 0 ? r : !way->kept.len;
}

static int move(struct way *way, const struct way *back)
{
	int r = flush(way);

	for (int i = 0; i < TURNS && r >= 0 && !way->kept.len && !way->has_ended; i++) {
		r = move_chunk(way, back);
		if (r == 0)
			break;
	}
	if (r < 0)
		return r;
	if (!way->kept.len)
		buf_fini(&way->kept);
	if (way->has_ended && !way->kept.len && !way->is_shut) {
		way->is_shut = true;
		if (shutdown(way->to->fd, SHUT_WR) < 0)
			return -errno;
	}
	return 0;
}

static void watch(struct duplex *duplex, unsigned int i)
{
	struct end *end = &duplex->ends[i];
	const struct way *out = &duplex->ways[i], *in = &duplex->ways[1 - i];
	int events =
		(!out->has_ended && !out->kept.len ? EV_READ : 0) | (in->kept.len ? EV_WRITE : 0);

	if (ev_is_active(&end->io) && (end->io.events & (EV_READ | EV_WRITE)) == events)
		return;
	ev_io_stop(duplex->loop, &end->io);
	ev_io_set(&end->io, end->fd, events);
	if (events)
		ev_io_start(duplex->loop, &end->io);
}

/* Its last act may be the callback. */
static void on_event(struct ev_loop *loop, ev_io *io, int events)
{
	struct duplex *duplex = io->data;
	struct way *ways = duplex->ways;
	bool fails = move(&ways[0], &ways[1]) < 0 || move(&ways[1], &ways[0]) < 0;

	if (!fails && !(ways[0].is_shut && ways[1].is_shut)) {
		watch(duplex, 0);
		watch(duplex, 1);
		return;
	}
	close_ends(duplex, fails);
	duplex->ended(duplex->ctx);
}

struct duplex *duplex_create(struct ev_loop *loop, int a, int b, duplex_ended_fn *ended, void *ctx)
{
	struct duplex *duplex = mem_new(struct duplex);

	*duplex = (struct duplex){ .loop = loop, .ended = ended, .ctx = ctx };
	duplex->ends[0].fd = a;
	duplex->ends[1].fd = b;
	for (unsigned int i = 0; i < 2; i++) {
		struct end *end = &duplex->ends[i];

		duplex->ways[i] = (struct way){ .from = end,
			                        .to = &duplex->ends[1 - i],
			                        .kept = BUF_INIT(CHUNK) };
		file_set_nonblocking(end->fd);
		ev_io_init(&end->io, on_event, end->fd, EV_READ);
		end->io.data = duplex;
		ev_io_start(loop, &end->io);
	}
	return duplex;
}

void duplex_destroy(struct duplex *duplex)
{
	if (!duplex)
		return;
	close_ends(duplex, true);
	free(duplex);
}
