/*
 * The command line of a shim: an input is its words, each ended by a newline.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "common/mem.h"
#include "shim/cli/command_line.h"
#include "test/fuzz/fuzz.h"

#define WORDS_MAX 64

/* What passes becomes a part of paths. */
static void check_name(const char *name)
{
	assert(*name && *name != '.' && !strchr(name, '/') && !strstr(name, ".."));
}

static void check_options(char *const *argv, const struct command_line *line)
{
	const char *const texts[] = {
		line->namespace,    line->address, line->publish_binary, line->socket,
		line->debug_socket, line->id,      line->bundle,         line->command,
	};
	struct error err = { 0 };
	size_t used = 0;
	size_t given = 0;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert(texts[i]);
		used += strlen(texts[i]);
	}
	for (size_t i = 1; argv[i]; i++)
		given += strlen(argv[i]);
	assert(used <= given); /* each is a piece of one word */
	if (command_line_check_names(line, &err) == 0) {
		check_name(line->id);
		check_name(line->namespace);
	} else {
		assert(err.code == ERROR_INVALID_ARGUMENT && *err.text);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree char *text = mem_alloc(size + 1);
	char *argv[WORDS_MAX + 2] = { "shim" };
	struct command_line line = { .command = "untouched" };
	struct error err = { 0 };
	char *rest = text;
	int argc = 1;

	if (size)
		memcpy(text, data, size);
	while (rest && *rest && argc <= WORDS_MAX)
		argv[argc++] = strsep(&rest, "\n");
	if (command_line_parse(argc, argv, &line, &err) == 0)
		check_options(argv, &line);
	else
		assert(err.code == ERROR_INVALID_ARGUMENT && *err.text &&
		       !strcmp(line.command, "untouched"));
	return 0;
}
