#include "common/toml_reader.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "common/error.h"

int toml_fail(struct toml_reader *reader, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	error_vset(reader->err, ERROR_INVALID_ARGUMENT, fmt, args);
	va_end(args);
	error_wrap(reader->err, "%s:%d", reader->name, reader->line);
	return -EINVAL;
}

int toml_fail_here(struct toml_reader *reader, const char *wanted)
{
	char c = toml_peek(reader);

	if (reader->at == reader->end)
		return toml_fail(reader, "expected %s, found the end of the file", wanted);
	if (c == '\n' || toml_starts(reader, "\r\n"))
		return toml_fail(reader, "expected %s, found the end of the line", wanted);
	if (c > ' ' && c < 0x7f)
		return toml_fail(reader, "expected %s, found '%c'", wanted, c);
	return toml_fail(reader, "expected %s, found byte 0x%02x", wanted, (unsigned char)c);
}

char toml_peek(const struct toml_reader *reader)
{
	return reader->at < reader->end ? *reader->at : '\0';
}

bool toml_starts(const struct toml_reader *reader, const char *text)
{
	size_t len = strlen(text);

	return (size_t)(reader->end - reader->at) >= len && !memcmp(reader->at, text, len);
}

bool toml_skip(struct toml_reader *reader, const char *text)
{
	if (!toml_starts(reader, text))
		return false;
	reader->at += strlen(text);
	return true;
}

bool toml_newline(struct toml_reader *reader)
{
	if (!toml_skip(reader, "\n") && !toml_skip(reader, "\r\n"))
		return false;
	reader->line++;
	return true;
}

void toml_spaces(struct toml_reader *reader)
{
	while (toml_peek(reader) == ' ' || toml_peek(reader) == '\t')
		reader->at++;
}
