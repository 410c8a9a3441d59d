/*
 * The command line of a shim: an input is its words, each ended by a newline.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "common/mem.h"
#include "shim/cli/options.h"
#include "test/fuzz/fuzz.h"

#define WORDS_MAX 64

/* What passes becomes a part of paths. */
static void check_name(const char *name)
{
	assert(*name && *name != '.' && !strchr(name, '/') && !strstr(name, ".."));
}

static void check_options(char *const *argv, const struct options *options)
{
	const char *const texts[] = {
		options->namespace,    options->address, options->publish_binary, options->socket,
		options->debug_socket, options->id,      options->bundle,         options->command,
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
	if (options_check_names(options, &err) == 0) {
		check_name(options->id);
		check_name(options->namespace);
	} else {
		assert(err.code == ERROR_INVALID_ARGUMENT && *err.text);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree char *text = mem_alloc(size + 1);
	char *argv[WORDS_MAX + 2] = { "shim" };
	struct options options = { .command = "untouched" };
	struct error err = { 0 };
	char *rest = text;
	int argc = 1;

	if (size)
		memcpy(text, data, size);
	while (rest && *rest && argc <= WORDS_MAX)
		argv[argc++] = strsep(&rest, "\n");
	if (options_parse(argc, argv, &options, &err) == 0)
		check_options(argv, &options);
	else
		assert(err.code == ERROR_INVALID_ARGUMENT && *err.text &&
		       !strcmp(options.command, "untouched"));
	return 0;
}
