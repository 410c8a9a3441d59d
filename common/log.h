/*
 * The log: one event per line, in the logfmt that containerd reads from a shim's `log` FIFO
 * (containerd runtime/v2/README.md, "Logging"): time="…" level=info msg="vm booted" then what the
 * caller wrote. Lines go to stderr until log_open(). Writing never blocks and never raises SIGPIPE;
 * a line that does not fit is dropped.
 *
 * Write ids as key=value in the text and foreign text in %s quotes: log_info("process exited id=%s
 * status=%d", …).
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdbool.h>

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
};

/* Takes ownership of @fd, which is made non-blocking; -1 goes back to stderr. */
void log_open(int fd);
void log_set_level(enum log_level level); /* default: LOG_LEVEL_INFO */
bool log_enabled(enum log_level level);

void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
