#include "common/log.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/file.h"
#include "common/text.h"

#define QUOTED_MAX   16   /* of one character */
#define LOG_LINE_MAX 4096 /* PIPE_BUF: a line reaches a FIFO whole or not at all (pipe(7)) */

/* The one mutable state of the library folders: where the process logs, and how much. */
static int log_fd = STDERR_FILENO;
static enum log_level log_max = LOG_LEVEL_INFO;

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARN] = "warning",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

void log_open(int fd)
{
	if (log_fd != STDERR_FILENO)
		close(log_fd);
	log_fd = fd < 0 ? STDERR_FILENO : fd;
	if (fd >= 0)
		file_set_nonblocking(fd);
}

void log_set_level(enum log_level level)
{
	log_max = level;
}

bool log_enabled(enum log_level level)
{
	return level <= log_max;
}

/* What stands for one character of @n bytes, 0 for a byte that begins none. Returns its length. */
static size_t quote_one(char out[QUOTED_MAX], const char *text, size_t n)
{
	size_t len = 0;

	if (n == 1 && (*text == '"' || *text == '\\'))
		return (size_t)sprintf(out, "\\%c", *text);
	if (*text == '\n')
		return (size_t)sprintf(out, "\\n");
	if (n > 0 && !text_is_control(text)) {
		memcpy(out, text, n);
		return n;
	}
	for (size_t i = 0; i < (n ? n : 1); i++)
		len += (size_t)sprintf(out + len, "\\x%02x", (unsigned char)text[i]);
	return len;
}

/*
 * Writes @text as the inside of a quoted logfmt value, in valid UTF-8 and with no character that a
 * terminal obeys; returns the bytes written, at most @size - 1.
 */
static size_t quote(char *out, size_t size, const char *text)
{
	size_t len = 0;

	while (*text) {
		size_t n = text_utf8(text, TEXT_TO_NUL);
		char one[QUOTED_MAX];
		size_t more = quote_one(one, text, n);

		if (len + more >= size)
			break;
		memcpy(out + len, one, more);
		len += more;
		text += n ? n : 1;
	}
	out[len] = '\0';
	return len;
}

/* A write to a FIFO without a reader raises SIGPIPE; the log must not depend on how the process
 * handles it. */
static void write_without_sigpipe(const char *line, size_t len)
{
	struct timespec no_wait = { 0 };
	sigset_t pipe_only, before, pending;

	sigemptyset(&pipe_only);
	sigaddset(&pipe_only, SIGPIPE);
	sigpending(&pending);
	sigprocmask(SIG_BLOCK, &pipe_only, &before);
	if (write(log_fd, line, len) < 0 && !sigismember(&pending, SIGPIPE))
		sigtimedwait(&pipe_only, NULL, &no_wait);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

void log_write(enum log_level level, const char *fmt, ...)
{
	char text[LOG_LINE_MAX / 2], line[LOG_LINE_MAX], stamp[32];
	struct timespec now;
	struct tm utc;
	va_list args;
	size_t n;

	if (!log_enabled(level))
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &utc);
	n = snprintf(line, sizeof(line), "time=\"%s.%09ldZ\" level=%s msg=\"", stamp, now.tv_nsec,
	             level_names[level]);
	n += quote(line + n, sizeof(line) - n - 2, text);
	line[n++] = '"';
	line[n++] = '\n';
	write_without_sigpipe(line, n);
}
