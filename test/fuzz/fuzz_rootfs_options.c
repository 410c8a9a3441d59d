/*
 * The options of a rootfs mount: the first word of the input is its type.
 */
#include <assert.h>
#include <string.h>

#include "common/error.h"
#include "common/mem.h"
#include "shim/storage/rootfs_options.h"
#include "test/fuzz/fuzz.h"

#define OPTIONS_MAX 64
#define DATA_MAX    4096 /* a page */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree char *text = mem_alloc(size + 1);
	char *words[OPTIONS_MAX + 1] = { "" };
	struct rootfs_options options;
	struct error err = { 0 };
	size_t n = 0;

	if (size)
		memcpy(text, data, size);
	for (char *rest = text; rest && n <= OPTIONS_MAX; n++)
		words[n] = strsep(&rest, "\n");
	if (rootfs_options_parse(words[0], words + 1, n - 1, &options, &err) < 0) {
		assert(err.code != ERROR_NONE && *err.text);
		return 0;
	}
	assert(strlen(options.data) < DATA_MAX && (!options.dir || *options.dir == '/'));
	rootfs_options_fini(&options);
	return 0;
}
