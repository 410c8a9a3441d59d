#include <errno.h>
#include <string.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/mem.h"
#include "common/toml_reader.h"

/* A text that grows by the bytes of a string: never longer than the file. */
static void add(struct buf *out, const void *data, size_t n)
{
	buf_append(out, data, n);
}

static bool is_control(char c)
{
	unsigned char u = (unsigned char)c;

	return (u < 0x20 && u != '\t') || u == 0x7f;
}

static bool is_scalar(unsigned long code)
{
	return code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
}

static void add_utf8(struct buf *out, unsigned long code)
{
	unsigned char bytes[4];
	size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	static const unsigned char first[] = { 0, 0, 0xc0, 0xe0, 0xf0 };

	for (size_t i = n - 1; i > 0; i--) {
		bytes[i] = 0x80 | (code & 0x3f);
		code >>= 6;
	}
	bytes[0] = first[n] | (unsigned char)code;
	add(out, bytes, n);
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* \uXXXX or \UXXXXXXXX, after the letter. */
static int read_code(struct toml_reader *reader, int digits, struct buf *out)
{
	unsigned long code = 0;

	for (int i = 0; i < digits; i++) {
		int value = hex_value(toml_peek(reader));

		if (value < 0)
			return toml_fail_here(reader, "a hexadecimal digit");
		code = code * 16 + (unsigned long)value;
		reader->at++;
	}
	if (!is_scalar(code))
		return toml_fail(reader, "no Unicode character has the number %lx", code);
	add_utf8(out, code);
	return 0;
}

static int read_escape(struct toml_reader *reader, struct buf *out)
{
	static const char letters[] = "btnfr\"\\";
	static const char bytes[] = "\b\t\n\f\r\"\\";
	char c = toml_peek(reader);
	const char *at = c ? strchr(letters, c) : NULL;

	if (at) {
		add(out, bytes + (at - letters), 1);
		reader->at++;
		return 0;
	}
	if (c != 'u' && c != 'U')
		return toml_fail_here(reader, "an escape");
	reader->at++;
	return read_code(reader, c == 'u' ? 4 : 8, out);
}

/* A backslash at the end of a line: white space and newlines up to the next text are left out. */
static bool skip_line_end(struct toml_reader *reader)
{
	struct toml_reader start = *reader;

	toml_spaces(reader);
	if (!toml_newline(reader)) {
		*reader = start;
		return false;
	}
	do
		toml_spaces(reader);
	while (toml_newline(reader));
	return true;
}

/* One character or escape of a string that goes on. */
static int read_character(struct toml_reader *reader, bool basic, bool multi, struct buf *out)
{
	char c = toml_peek(reader);

	if (reader->at == reader->end)
		return toml_fail(reader, "a string without end");
	if (basic && c == '\\') {
		reader->at++;
		if (multi && skip_line_end(reader))
			return 0;
		return read_escape(reader, out);
	}
	if (multi && toml_newline(reader)) {
		add(out, "\n", 1);
		return 0;
	}
	if (c == '\n' || c == '\r')
		return toml_fail(reader, "a string without end");
	if (is_control(c))
		return toml_fail(reader, "control character 0x%02x in a string", c);
	add(out, reader->at++, 1);
	return 0;
}

/* A multi-line string may end with one or two quotes of its own before the three. */
static void read_last_quotes(struct toml_reader *reader, char quote, struct buf *out)
{
	for (int i = 0; i < 2 && toml_peek(reader) == quote; i++)
		add(out, reader->at++, 1);
}

static int read_until(struct toml_reader *reader, const char *quotes, struct buf *out)
{
	bool multi = quotes[1];

	if (multi)
		toml_newline(reader); /* a first one is not part of it */
	while (!toml_skip(reader, quotes)) {
		int r = read_character(reader, quotes[0] == '"', multi, out);

		if (r < 0)
			return r;
	}
	if (multi)
		read_last_quotes(reader, quotes[0], out);
	return 0;
}

static int read_quoted(struct toml_reader *reader, const char *quotes, char **text, size_t *len)
{
	struct buf out = BUF_INIT(TOML_TEXT_MAX);
	int r = read_until(reader, quotes, &out);

	if (r == 0) {
		*len = out.len;
		*text = mem_alloc(out.len + 1);
		if (out.len > 0)
			memcpy(*text, buf_data(&out), out.len);
	}
	buf_fini(&out);
	return r;
}

int toml_read_string(struct toml_reader *reader, char **out, size_t *len)
{
	static const char *const quotes[] = { "\"\"\"", "'''", "\"", "'" };

	for (size_t i = 0; i < sizeof(quotes) / sizeof(quotes[0]); i++)
		if (toml_skip(reader, quotes[i]))
			return read_quoted(reader, quotes[i], out, len);
	return toml_fail_here(reader, "a string");
}

static bool is_bare(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-';
}

int toml_read_key(struct toml_reader *reader, char **out)
{
	const char *start = reader->at;
	autofree char *key = NULL;
	size_t len = 0;
	int r;

	if (toml_skip(reader, "\""))
		r = read_quoted(reader, "\"", &key, &len);
	else if (toml_skip(reader, "'"))
		r = read_quoted(reader, "'", &key, &len);
	else {
		while (is_bare(toml_peek(reader)))
			reader->at++;
		if (reader->at == start)
			return toml_fail_here(reader, "a key");
		*out = mem_printf("%.*s", (int)(reader->at - start), start);
		return 0;
	}
	if (r == 0 && strlen(key) != len)
		r = toml_fail(reader, "a key with a NUL byte");
	if (r == 0)
		*out = take_ptr(&key);
	return r;
}
