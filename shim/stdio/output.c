#include "shim/stdio/output.h"

#include <assert.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <inttypes.h>

#include "common/log.h"
#include "common/mem.h"
#include "proto/vsock_ports.h"
#include "shim/stdio/call_reader.h"
#include "shim/stdio/fifo_hold.h"

/*
 * Nothing wakes us when a FIFO is read. While somebody waits for that, and only then, it is looked
 * at: soon at first, since most readers are there and take what there is at once.
 */
#define LOOK_FIRST_MS 1
#define LOOK_FULL_MS  10  /* at most, while there is something to read */
#define LOOK_EMPTY_MS 100 /* at most, while the guest is waited for: its bytes and its end say so */

struct output {
	struct ev_loop *loop;
	const char *name;
	struct vsock_stream *stream; /* NULL: there is a reader */
	struct call_reader *reader;
	struct fifo_hold *hold;
	vsock_opened_fn *on_open;
	void *open_ctx;
	uint64_t written;            /* that is known of */
	bool ended;                  /* nothing comes any more */
	bool asked;                  /* an answer of the device is on its way */
	void (*on_ended)(void *ctx); /* NULL: nobody waits for that */
	void *ended_ctx;

	struct output_wait wait;
	void (*done)(void *ctx); /* NULL: nobody waits */
	void *done_ctx;
	ev_timer look;
	int pause_ms; /* before the look that is to come */
	int quiet_ms; /* since something has moved */
	int waited_ms;
	uint64_t read; /* bytes_read() at its most */
	uint64_t seen; /* progress() at the last look */
};

static const struct vsock_progress *progress_of(const struct output *output)
{
	return output->reader ? call_reader_progress(output->reader)
	                      : vsock_stream_progress(output->stream);
}

/* The bytes that somebody has read. One less careful could count some twice: others may write to
 * the same FIFO. */
static uint64_t bytes_read(const struct output *output)
{
	uint64_t moved = progress_of(output)->moved;
	uint64_t unread = fifo_hold_unread(output->hold);

	return moved > unread ? moved - unread : 0;
}

/* The bytes that are known to have been written. */
static uint64_t bytes_known(const struct output *output)
{
	const struct vsock_progress *progress = progress_of(output);
	uint64_t came = progress->moved + progress->kept;

	return came > output->written ? came : output->written;
}

uint64_t output_unread(const struct output *output)
{
	return bytes_known(output) - bytes_read(output);
}

static bool is_read(const struct output *output)
{
	if (output->ended)
		return !fifo_hold_unread(output->hold);
	return bytes_read(output) >= output->wait.written;
}

/* Of @bytes those that are waited for: what follows them is another process's. */
static uint64_t wanted(const struct output *output, uint64_t bytes)
{
	return bytes < output->wait.written ? bytes : output->wait.written;
}

/*
 * Changes whenever a byte that is waited for moves: from the guest, into the FIFO, out of it. What
 * the device has said lags behind the FIFO: bytes_read() may be less than the last time.
 */
static uint64_t progress(struct output *output)
{
	const struct vsock_progress *progress = progress_of(output);
	uint64_t now = bytes_read(output);

	if (now > output->read)
		output->read = now;
	return wanted(output, progress->moved) + wanted(output, progress->moved + progress->kept) +
	       wanted(output, output->read);
}

/* Its last act is the callback, which may destroy the output. */
static void end_wait(struct output *output)
{
	void (*done)(void *ctx) = output->done;

	ev_timer_stop(output->loop, &output->look);
	output->done = NULL;
	done(output->done_ctx);
}

static void end_wait_if_read(struct output *output)
{
	if (output->done && is_read(output))
		end_wait(output);
}

static void on_progress(void *ctx, const struct error *err)
{
	struct output *output = ctx;

	output->asked = false;
	end_wait_if_read(output);
}

static void schedule_check(struct output *output)
{
	if (!output->ended && !output->asked && output->stream)
		output->asked = vsock_stream_moved(output->stream, on_progress, output, NULL) == 0;
	ev_timer_stop(output->loop, &output->look);
	ev_now_update(output->loop);
	ev_timer_set(&output->look, output->pause_ms / 1e3, 0);
	ev_timer_start(output->loop, &output->look);
}

/* Who has read and is gone will not come back, as far as the wait is concerned. */
static bool is_abandoned(struct output *output)
{
	return bytes_read(output) && (output->ended || output->wait.last) &&
	       fifo_hold_has_no_reader(output->hold);
}

/* Whether a reader is waited for, and not the guest. */
static bool is_up_to_reader(const struct output *output)
{
	return fifo_hold_unread(output->hold) || progress_of(output)->kept;
}

static bool has_timed_out(struct output *output)
{
	const struct output_wait *wait = &output->wait;

	return output->quiet_ms >= (is_up_to_reader(output) ? wait->patience_ms : wait->guest_ms) ||
	       (wait->limit_ms && output->waited_ms >= wait->limit_ms) ||
	       (output->quiet_ms && is_abandoned(output));
}

static void on_check(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct output *output = timer->data;
	int most = fifo_hold_unread(output->hold) ? LOOK_FULL_MS : LOOK_EMPTY_MS;
	uint64_t now = progress(output);

	output->waited_ms += output->pause_ms;
	output->quiet_ms = now == output->seen ? output->quiet_ms + output->pause_ms : 0;
	output->seen = now;
	if (is_read(output) || has_timed_out(output)) {
		end_wait(output);
		return;
	}
	output->pause_ms = output->pause_ms * 2 < most ? output->pause_ms * 2 : most;
	schedule_check(output);
}

void output_wait(struct output *output, const struct output_wait *wait, void (*done)(void *ctx),
                 void *ctx)
{
	output->wait = *wait;
	output->on_ended = NULL;
	output->done = done;
	output->done_ctx = ctx;
	if (wait->written != OUTPUT_TO_ITS_END && wait->written > output->written)
		output->written = wait->written;
	if (is_read(output)) {
		end_wait(output);
		return;
	}
	output->pause_ms = LOOK_FIRST_MS;
	output->quiet_ms = output->waited_ms = 0;
	output->seen = progress(output);
	schedule_check(output);
}

static void on_open(void *ctx, uint32_t host_port, const struct error *err)
{
	struct output *output = ctx;

	output->ended = err;
	output->on_open(output->open_ctx, host_port, err);
}

static void on_done(void *ctx, const struct error *err)
{
	struct output *output = ctx;
	uint64_t moved = progress_of(output)->moved;
	void (*on_ended)(void *ctx) = take_ptr(&output->on_ended);

	output->ended = true;
	fifo_hold_end(output->hold);
	if (err)
		log_warn("output was cut off stream=%s bytes=%" PRIu64 " dropped=%" PRIu64 ": %s",
		         output->name, moved, bytes_known(output) - moved, err->text);
	output->pause_ms = LOOK_FIRST_MS;
	if (output->done && !is_read(output))
		schedule_check(output);
	else if (output->done)
		end_wait(output);
	else if (on_ended)
		on_ended(output->ended_ctx);
}

void output_start(struct output *output)
{
	if (output->reader)
		call_reader_start(output->reader);
}

void output_when_ended(struct output *output, void (*done)(void *ctx), void *ctx)
{
	assert(!output->done);
	if (output->ended) {
		done(ctx);
	} else {
		output->on_ended = done;
		output->ended_ctx = ctx;
	}
}

static struct fifo_hold *make_hold(struct ev_loop *loop, const struct output_config *config)
{
	if (!config->beside)
		return fifo_hold_create(loop, fcntl(config->write_fd, F_DUPFD_CLOEXEC, 0),
		                        config->read_fd);
	if (config->read_fd >= 0)
		close(config->read_fd);
	return fifo_hold_share(config->beside->hold);
}

int output_open(struct ev_loop *loop, struct vsock *vsock, const struct output_config *config,
                vsock_opened_fn *opened, void *ctx, struct output **out, struct error *err)
{
	autodestroy(output) struct output *output = mem_new(struct output);
	int r;

	output->loop = loop;
	output->name = config->name;
	output->on_open = opened;
	output->open_ctx = ctx;
	output->hold = make_hold(loop, config);
	ev_timer_init(&output->look, on_check, 0, 0);
	output->look.data = output;
	if (config->io.calls) {
		output->reader = call_reader_create(loop,
		                                    &(struct call_reader_config){
							    .io = config->io,
							    .is_err = config->is_err,
							    .fd = config->write_fd,
						    },
		                                    on_done, output);
		*out = take_ptr(&output);
		opened(ctx, 0, NULL);
		return 0;
	}
	r = vsock_stream_open(vsock, VSOCK_PORT_STREAMS, VSOCK_WRITE, config->write_fd,
	                      config->timeout_ms, on_open, on_done, output, &output->stream, err);
	if (r == 0)
		*out = take_ptr(&output);
	return r;
}

void output_destroy(struct output *output)
{
	if (!output)
		return;
	ev_timer_stop(output->loop, &output->look);
	vsock_stream_destroy(output->stream);
	call_reader_destroy(output->reader);
	fifo_hold_destroy(output->hold);
	free(output);
}
