/*
 * One error type, last argument of every function that can fail. The caller owns it; nothing is
 * allocated. Functions return 0 or a negative errno and fill it; branch on the code, show the text,
 * never parse it. A NULL err is allowed everywhere: the caller wants the return value only.
 *
 * Texts are for users. A text is one line in lower case without a full stop. The value at fault is
 * quoted and the cause comes last; a hint follows a semicolon:
 *
 *   invalid uid "abc": not a number      a value that is wrong, with what is wrong or expected
 *   hooks.prestart: not supported        a setting that is known and cannot be done
 *   cannot open "/x": No such file ...   an operation that failed
 */
#ifndef COMMON_ERROR_H
#define COMMON_ERROR_H

#include <stdarg.h>

/* The meanings of google.rpc.Code (googleapis google/rpc/code.proto), with the same numbers. */
enum error_code {
	ERROR_NONE = 0,
	ERROR_CANCELED = 1,
	ERROR_UNKNOWN = 2, /* a plain failure, as of a system call */
	ERROR_INVALID_ARGUMENT = 3,
	ERROR_DEADLINE_EXCEEDED = 4,
	ERROR_NOT_FOUND = 5,
	ERROR_ALREADY_EXISTS = 6,
	ERROR_PERMISSION_DENIED = 7,
	ERROR_RESOURCE_EXHAUSTED = 8,
	ERROR_FAILED_PRECONDITION = 9,
	ERROR_ABORTED = 10,
	ERROR_OUT_OF_RANGE = 11,
	ERROR_UNIMPLEMENTED = 12,
	ERROR_INTERNAL = 13,
	ERROR_UNAVAILABLE = 14,
	ERROR_DATA_LOSS = 15,
	ERROR_UNAUTHENTICATED = 16,
};

#define ERROR_TEXT_MAX 1000

struct error {
	enum error_code code;
	char text[ERROR_TEXT_MAX]; /* one line, no newline at its end; truncated if longer */
};

/* typedef of the one completion shape: @err is NULL on success and valid during the callback only.
 */
typedef void done_fn(void *ctx, const struct error *err);

/* Fills @err; returns the negative errno nearest to @code (ERROR_NOT_FOUND is -ENOENT, and so on).
 */
int error_set(struct error *err, enum error_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int error_vset(struct error *err, enum error_code code, const char *fmt, va_list args)
	__attribute__((format(printf, 3, 0)));

/*
 * Text "<what>: <strerror(errno)>" from the current errno, code ERROR_UNKNOWN (ETIMEDOUT:
 * ERROR_DEADLINE_EXCEEDED); returns -errno.
 */
int error_errno(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Puts "<context>: " before the text and keeps the code; returns the negative errno nearest to the
 * code. */
int error_wrap(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * Puts "; hint: <hint>" after the text: what the user can do about it. It stays whole: a text too
 * long for it is cut. Returns as error_wrap() does.
 */
int error_hint(struct error *err, const char *hint);

/* Copies @from (NULL: ERROR_NONE and an empty text). */
void error_copy(struct error *to, const struct error *from);

/* The negative errno nearest to @code. */
int error_code_errno(enum error_code code);

#endif
