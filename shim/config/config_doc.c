/*
 * Writes docs/configuration.md to standard output, from the table that configurations are read by.
 */
#include <stdio.h>
#include <string.h>

#include "shim/config/config_keys.h"

static const char introduction[] =
	"# Configuration\n"
	"\n"
	"<!-- Made of shim/config/config_keys.c: cmake --build build/debug -t configuration-doc "
	"-->\n"
	"\n"
	"No file is needed: what is not set has the value below. The keys are those of\n"
	"upstream's `configuration.toml`, as far as they exist here, so that such a file can be\n"
	"used as it is; the table `[timeouts]` and `accel` are our own.\n"
	"\n"
	"The first of these is read:\n"
	"\n"
	"1. the file (`ConfigPath`) or the text in the runtime options of containerd's\n"
	"   configuration,\n"
	"2. the file that `KATA_CONF_FILE` names in containerd's environment,\n"
	"3. `/etc/kata-containers/configuration.toml`,\n"
	"4. `share/defaults/kata-containers/configuration.toml` below the installation's prefix.\n"
	"\n"
	"The first two must be there if they are named. Then, in the order of their names, all\n"
	"files in `config.d` beside the file: what they set replaces what was set before.\n"
	"\n"
	"A wrong value, or a file that is not TOML 1.0, stops the start of a container with one\n"
	"line that names file and line. An unknown key is ignored, with a warning in the log.\n"
	"\n"
	"Debugging, of whatever part, also makes the shim log at debug level: what the guest\n"
	"prints is in its log then.\n";

static const char *const types[] = {
	[CONFIG_STRING] = "string",   [CONFIG_PATH] = "path",       [CONFIG_BOOLEAN] = "boolean",
	[CONFIG_INTEGER] = "integer", [CONFIG_SECONDS] = "seconds", [CONFIG_CHOICE] = "string",
	[CONFIG_FIXED] = "string",
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
