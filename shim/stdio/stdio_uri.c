#include "shim/stdio/stdio_uri.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "common/error.h"
#include "common/mem.h"

static const struct {
	const char *prefix;
	enum stdio_kind kind;
} schemes[] = {
	{ "fifo://", STDIO_FIFO },
	{ "file://", STDIO_FILE },
	{ "binary://", STDIO_LOGGER },
};

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, tolower((unsigned char)c)) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* The byte that %XX at @text stands for; -1: it is none. */
static int escaped_byte(const char *text, size_t len)
{
	int high, low;

	if (len < 3 || *text != '%')
		return -1;
	high = hex_digit(text[1]);
	low = hex_digit(text[2]);
	return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* A copy of @len bytes with %XX decoded (RFC 3986, 2.1), in a query also + for a space. */
static char *decoded(const char *text, size_t len, bool query)
{
	char *out = mem_alloc(len + 1);
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		int byte = escaped_byte(text + i, len - i);

		if (byte >= 0)
			i += 2;
		else
			byte = text[i] == '+' && query ? ' ' : text[i];
		out[n++] = (char)byte;
	}
	return out;
}

static bool has_key(const struct stdio_uri *uri, const char *key)
{
	for (size_t i = 0; uri->args[i]; i += 2)
		if (strcmp(uri->args[i], key) == 0)
			return true;
	return false;
}

/* "key=value" or "key", whose value is empty. Of a key that comes twice the first counts. */
static void add_pair(struct stdio_uri *uri, size_t *n, const char *text, size_t len)
{
	const char *equals = memchr(text, '=', len);
	size_t key_len = equals ? (size_t)(equals - text) : len;
	autofree char *key = decoded(text, key_len, true);

	if (has_key(uri, key))
		return;
	uri->args[(*n)++] = take_ptr(&key);
	uri->args[(*n)++] = equals ? decoded(equals + 1, len - key_len - 1, true) : mem_strdup("");
}

/* As containerd passes them: each key followed by its value. */
static int parse_query(const char *query, struct stdio_uri *out, struct error *err)
{
	size_t n = 0;

	while (*query) {
		size_t len = strcspn(query, "&");

		if (n + 2 > STDIO_ARGS_MAX)
			return error_set(err, ERROR_INVALID_ARGUMENT,
			                 "more than %d arguments of a logger", STDIO_ARGS_MAX);
		if (len)
			add_pair(out, &n, query, len);
		query += len + (query[len] == '&');
	}
	return 0;
}

int stdio_uri_parse(const char *text, struct stdio_uri *out, struct error *err)
{
	enum stdio_kind kind = *text ? STDIO_FIFO : STDIO_NONE;
	const char *path = text;
	size_t len;

	*out = (struct stdio_uri){ .kind = kind };
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		len = strlen(schemes[i].prefix);
		if (strncmp(text, schemes[i].prefix, len) == 0) {
			out->kind = schemes[i].kind;
			path = text + len;
		}
	}
	if (out->kind == STDIO_NONE)
		return 0;
	if (path == text && strstr(text, "://"))
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "invalid stdio \"%s\": unknown scheme", text);
	if (*path != '/')
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "invalid stdio \"%s\": no absolute path", text);
	if (path == text) { /* a plain path is taken as it is */
		out->path = mem_strdup(path);
		return 0;
	}
	len = strcspn(path, "?");
	out->path = decoded(path, len, false);
	if (out->kind != STDIO_LOGGER || !path[len])
		return 0;
	return parse_query(path + len + 1, out, err);
}

void stdio_uri_fini(struct stdio_uri *uri)
{
	free(uri->path);
	for (size_t i = 0; uri->args[i]; i++)
		free(uri->args[i]);
	*uri = (struct stdio_uri){ 0 };
}
