#include "shim/pod/last_words.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define INTRODUCTION "; the console's last lines: "
#define SEPARATOR    " | "
#define PANIC        "Kernel panic"

/* Where the line that tells of the panic ends, or the text. */
static size_t panic_line_end(const char *console)
{
	const char *panic = strstr(console, PANIC);
	const char *end = panic ? strstr(panic, SEPARATOR) : NULL;

	return end ? (size_t)(end - console) : strlen(console);
}

/* Where the last lines before @end begin that fit into @room: at a line, unless one alone is too
 * long. */
static size_t tail_start(const char *console, size_t end, size_t room)
{
	size_t start = end > room ? end - room : 0;
	const char *line;

	if (start == 0)
		return 0;
	line = strstr(console + start, SEPARATOR);
	return line && line < console + end ? (size_t)(line - console) + strlen(SEPARATOR) : start;
}

/* Where the last line before @end begins. */
static size_t last_line(const char *console, size_t end)
{
	size_t at = end;

	while (at >= strlen(SEPARATOR) &&
	       memcmp(console + at - strlen(SEPARATOR), SEPARATOR, strlen(SEPARATOR)) != 0)
		at--;
	return at < strlen(SEPARATOR) ? 0 : at;
}

/* Whether @text has the @len bytes at @line, which may be none. */
static bool contains_line(const char *text, const char *line, size_t len)
{
	return len == 0 || memmem(text, strlen(text), line, len);
}

/* @end without the lines before it that @text says already. */
static size_t trim_repeated_lines(const char *console, size_t end, const char *text)
{
	size_t start = last_line(console, end);

	while (end > 0 && contains_line(text, console + start, end - start)) {
		end = start < strlen(SEPARATOR) ? 0 : start - strlen(SEPARATOR);
		start = last_line(console, end);
	}
	return end;
}

void last_words_add(char *text, size_t size, const char *console)
{
	size_t end = trim_repeated_lines(console, panic_line_end(console), text);
	size_t len = strlen(text);
	size_t start, room;

	if (end == 0 || len + strlen(INTRODUCTION) >= size)
		return;
	room = size - len - strlen(INTRODUCTION) - 1;
	start = tail_start(console, end, room < LAST_WORDS_MAX ? room : LAST_WORDS_MAX);
	snprintf(text + len, size - len, INTRODUCTION "%.*s", (int)(end - start), console + start);
}
