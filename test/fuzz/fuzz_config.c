/*
 * A configuration, as it comes in the runtime options.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "common/mem.h"
#include "shim/config/config.h"
#include "shim/config/config_keys.h"
#include "shim/config/config_load.h"
#include "shim/config/install.h"
#include "test/fuzz/fuzz.h"

/* Every value is within what its key allows. */
static void check_value(const struct config_key *key, const void *value)
{
	const char *const *text = value;
	const int *number = value;

	if (key->type == CONFIG_INTEGER)
		assert(*number >= key->min && *number <= key->max);
	if (key->type == CONFIG_SECONDS)
		assert(*number >= key->min * 1000LL && *number <= key->max * 1000LL);
	if (key->type == CONFIG_PATH)
		assert(!**text || **text == '/');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct install *install; /* of this very executable */
	autodestroy(config) struct config *config = NULL;
	autofree char *body = mem_alloc(size + 1);
	const struct config_source source = { .body = body, .body_len = size };
	struct error err = { 0 };

	if (size)
		memcpy(body, data, size);
	if (!install && install_find(NULL, &install, &err) < 0)
		abort();
	if (config_load(&source, install, &config, &err) < 0) {
		assert(!config &&
		       !strncmp(err.text, "runtime options:", strlen("runtime options:")));
		return 0;
	}
	for (const struct config_key *key = config_keys; key->name; key++)
		check_value(key, (const char *)config + key->offset);
	return 0;
}
