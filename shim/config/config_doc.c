/*
 * Writes docs/configuration.md to standard output, from the table that configurations are read by.
 */
#include <stdio.h>
#include <string.h>

#include "shim/config/config_keys.h"

static const char introduction[] =
	"# Configuration\n"
	"\n"
	"<!-- Generated from shim/config/config_keys.c: cmake --build build/debug -t "
	"configuration-doc -->\n"
	"\n"
	"The runtime needs no configuration file: a key that is not set has the default below.\n"
	"The keys are a subset of those of upstream's `configuration.toml`, so such a file can\n"
	"be used unchanged; the table `[timeouts]` and the key `accel` are our own.\n"
	"\n"
	"The runtime reads the first of:\n"
	"\n"
	"1. the file (`ConfigPath`) or the text in the runtime options of containerd's\n"
	"   configuration,\n"
	"2. the file that `KATA_CONF_FILE` names in containerd's environment,\n"
	"3. `/etc/kata-containers/configuration.toml`,\n"
	"4. `share/defaults/kata-containers/configuration.toml` below the installation's prefix.\n"
	"\n"
	"The first two must exist if they are named. Then the runtime reads all files in\n"
	"`config.d` beside the file, in the order of their names; later values replace earlier\n"
	"ones.\n"
	"\n"
	"An invalid value, or a file that is not TOML 1.0, fails the start of a container with\n"
	"one line that names file and line. An unknown key is ignored, with a warning in the log.\n"
	"\n"
	"Each `enable_debug` also sets the shim's own log to debug level, with the guest's\n"
	"console output.\n";

static const char *const types[] = {
	[CONFIG_STRING] = "string",   [CONFIG_PATH] = "path",       [CONFIG_BOOLEAN] = "boolean",
	[CONFIG_INTEGER] = "integer", [CONFIG_SECONDS] = "seconds", [CONFIG_CHOICE] = "string",
	[CONFIG_RATE] = "integer",    [CONFIG_FIXED] = "string",
};

static void write_type(const struct config_key *key)
{
	if (!key->choices) {
		printf("%s", types[key->type]);
		return;
	}
	for (const char *const *choice = key->choices; *choice; choice++)
		printf("%s`\"%s\"`", choice == key->choices ? "" : ", ", *choice);
}

int main(void)
{
	const char *table = "";

	fputs(introduction, stdout);
	for (const struct config_key *key = config_keys; key->name; key++) {
		if (strcmp(key->table, table) != 0)
			printf("\n## [%s]\n\n| key | value | default | meaning |\n"
			       "| --- | --- | --- | --- |\n",
			       key->table);
		table = key->table;
		printf("| `%s` | ", key->name);
		write_type(key);
		printf(" | `%s` | %s |\n", key->initial, key->meaning);
	}
	return 0;
}
