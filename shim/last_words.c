#include "shim/last_words.h"

#include <stdio.h>
#include <string.h>

#define SEPARATOR " | "
#define PANIC     "Kernel panic"

/* Where the line that tells of the panic ends, or the text. */
static size_t up_to_panic(const char *console)
{
	const char *panic = strstr(console, PANIC);
	const char *end = panic ? strstr(panic, SEPARATOR) : NULL;

	return end ? (size_t)(end - console) : strlen(console);
}

/* Where the last lines of @console that fit begin: at a line, unless one alone is too long. */
static const char *fitting(const char *console, size_t end)
{
	const char *start = end > LAST_WORDS_MAX ? console + end - LAST_WORDS_MAX : console;
	const char *line;

	if (start == console)
		return start;
	line = strstr(start, SEPARATOR);
	return line && line < console + end ? line + strlen(SEPARATOR) : start;
}

void last_words_add(char *text, size_t size, const char *console)
{
	size_t end = up_to_panic(console);
	size_t len = strlen(text);
	char words[LAST_WORDS_MAX + 1];
	const char *start;

	while (end >= strlen(SEPARATOR) &&
	       memcmp(console + end - strlen(SEPARATOR), SEPARATOR, strlen(SEPARATOR)) == 0)
		end -= strlen(SEPARATOR);
	start = fitting(console, end);
	snprintf(words, sizeof(words), "%.*s", (int)(console + end - start), start);
	if (*words && !strstr(text, words))
		snprintf(text + len, size - len, "; the console's last lines: %s", words);
}
