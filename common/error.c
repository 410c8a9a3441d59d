#include "common/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define HINT_MARK "; hint: "
#define CUT_MARK  "..."

static const int code_errno[] = {
	[ERROR_NONE] = 0,
	[ERROR_CANCELED] = ECANCELED,
	[ERROR_UNKNOWN] = EIO,
	[ERROR_INVALID_ARGUMENT] = EINVAL,
	[ERROR_DEADLINE_EXCEEDED] = ETIMEDOUT,
	[ERROR_NOT_FOUND] = ENOENT,
	[ERROR_ALREADY_EXISTS] = EEXIST,
	[ERROR_PERMISSION_DENIED] = EACCES,
	[ERROR_RESOURCE_EXHAUSTED] = ENOSPC,
	[ERROR_FAILED_PRECONDITION] = EBUSY,
	[ERROR_ABORTED] = EAGAIN,
	[ERROR_OUT_OF_RANGE] = ERANGE,
	[ERROR_UNIMPLEMENTED] = ENOSYS,
	[ERROR_INTERNAL] = EPROTO,
	[ERROR_UNAVAILABLE] = ECONNREFUSED,
	[ERROR_DATA_LOSS] = EBADMSG,
	[ERROR_UNAUTHENTICATED] = EPERM,
};

int error_code_errno(enum error_code code)
{
	unsigned int i = code;

	if (i >= sizeof(code_errno) / sizeof(code_errno[0]))
		return -EIO;
	return -code_errno[i];
}

int error_vset(struct error *err, enum error_code code, const char *fmt, va_list args)
{
	if (err) {
		err->code = code;
		vsnprintf(err->text, sizeof(err->text), fmt, args);
	}
	return error_code_errno(code);
}

int error_set(struct error *err, enum error_code code, const char *fmt, ...)
{
	va_list args;
	int r;

	va_start(args, fmt);
	r = error_vset(err, code, fmt, args);
	va_end(args);
	return r;
}

int error_errno(struct error *err, const char *fmt, ...)
{
	int cause = errno;
	va_list args;
	size_t len;

	if (err) {
		va_start(args, fmt);
		error_vset(err, cause == ETIMEDOUT ? ERROR_DEADLINE_EXCEEDED : ERROR_UNKNOWN, fmt,
		           args);
		va_end(args);
		len = strlen(err->text);
		snprintf(err->text + len, sizeof(err->text) - len, ": %s", strerror(cause));
	}
	return -cause;
}

int error_wrap(struct error *err, const char *fmt, ...)
{
	char cause[ERROR_TEXT_MAX];
	va_list args;
	size_t len;

	if (!err)
		return -EIO;
	memcpy(cause, err->text, sizeof(cause));
	va_start(args, fmt);
	error_vset(err, err->code, fmt, args);
	va_end(args);
	len = strlen(err->text);
	snprintf(err->text + len, sizeof(err->text) - len, ": %s", cause);
	return error_code_errno(err->code);
}

int error_hint(struct error *err, const char *hint)
{
	char tail[ERROR_TEXT_MAX / 2];
	size_t len, room;

	if (!err)
		return -EIO;
	snprintf(tail, sizeof(tail), HINT_MARK "%s", hint);
	room = sizeof(err->text) - 1 - strlen(tail);
	len = strlen(err->text);
	if (len > room) {
		len = room;
		memcpy(err->text + len - strlen(CUT_MARK), CUT_MARK, strlen(CUT_MARK));
	}
	memcpy(err->text + len, tail, strlen(tail) + 1);
	return error_code_errno(err->code);
}

void error_copy(struct error *to, const struct error *from)
{
	if (!to)
		return;
	if (from)
		*to = *from;
	else
		*to = (struct error){ 0 };
}
