#include "hypervisor/console.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "common/log.h"
#include "common/mem.h"

#define DRAIN_MAX (64 << 10) /* a pipe's capacity (pipe(7)): a writer that lives cannot hold us */

struct console {
	struct ev_loop *loop;
	char *name;
	int fd;
	ev_io watcher;
	size_t len;
	size_t logged; /* data before it has been logged */
	char data[2 * CONSOLE_KEPT];
};

static void log_lines(struct console *console)
{
	char *end;

	if (!log_enabled(LOG_LEVEL_DEBUG)) {
		console->logged = console->len;
		return;
	}
	while ((end = memchr(console->data + console->logged, '\n',
	                     console->len - console->logged))) {
		const char *line = console->data + console->logged;

		log_debug("%s: %.*s", console->name, (int)(end - line), line);
		console->logged += (size_t)(end - line) + 1;
	}
}

/* Makes room for CONSOLE_KEPT more bytes; keeps as many. */
static void forget_old(struct console *console)
{
	size_t drop;

	if (console->len <= CONSOLE_KEPT)
		return;
	drop = console->len - CONSOLE_KEPT;
	memmove(console->data, console->data + drop, CONSOLE_KEPT);
	console->len = CONSOLE_KEPT;
	console->logged = console->logged > drop ? console->logged - drop : 0;
}

/* One read: its result. */
static ssize_t take(struct console *console)
{
	ssize_t n;

	forget_old(console);
	n = read(console->fd, console->data + console->len, CONSOLE_KEPT);
	if (n > 0) {
		console->len += (size_t)n;
		log_lines(console);
	}
	return n;
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct console *console = watcher->data;
	ssize_t n = take(console);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		ev_io_stop(loop, watcher);
}

int console_create(struct ev_loop *loop, const char *name, struct console **out, int *write_fd,
                   struct error *err)
{
	struct console *console;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(err, "cannot make a pipe for the output of %s", name);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	console = mem_new(struct console);
	console->loop = loop;
	console->name = mem_strdup(name);
	console->fd = ends[0];
	ev_io_init(&console->watcher, on_readable, console->fd, EV_READ);
	console->watcher.data = console;
	ev_io_start(loop, &console->watcher);
	*out = console;
	*write_fd = ends[1];
	return 0;
}

void console_destroy(struct console *console)
{
	if (!console)
		return;
	ev_io_stop(console->loop, &console->watcher);
	close(console->fd);
	free(console->name);
	free(console);
}

void console_drain(struct console *console)
{
	size_t drained = 0;
	ssize_t n;

	while (drained < DRAIN_MAX && (n = take(console)) > 0)
		drained += (size_t)n;
}

/* Where the text starts whose lines fit into @room: after a newline, unless one line alone is too
 * long. */
static size_t tail_start(const struct console *console, size_t end, size_t room)
{
	size_t start = end > room ? end - room : 0;
	const char *newline;

	if (start == 0 || console->data[start - 1] == '\n')
		return start;
	newline = memchr(console->data + start, '\n', end - start);
	return newline ? (size_t)(newline - console->data) + 1 : start;
}

void console_tail(const struct console *console, char *text, size_t size)
{
	size_t end = console->len;
	size_t n = 0;

	while (end > 0 && strchr("\r\n", console->data[end - 1]))
		end--;
	/* A separator is three bytes where the newline was one: half the room is always enough. */
	for (size_t i = tail_start(console, end, size / 2); i < end && n + 4 < size; i++) {
		unsigned char c = (unsigned char)console->data[i];

		if (c == '\n') {
			memcpy(text + n, " | ", 3);
			n += 3;
		} else if (c != '\r') {
			text[n++] = c >= 0x20 && c < 0x7f ? (char)c : '?';
		}
	}
	text[n] = '\0';
}
