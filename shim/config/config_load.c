#include "shim/config/config_load.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/toml.h"
#include "shim/config/config.h"
#include "shim/config/config_keys.h"
#include "shim/config/install.h"

#define ENVIRONMENT "KATA_CONF_FILE"
#define SYSTEM_FILE "/etc/kata-containers/configuration.toml"
#define DROP_INS    "config.d"
#define BODY_NAME   "runtime options"
#define MS_PER_S    1000

/* What is being read, for messages. */
struct place {
	const char *file;
	const struct config_key *key;
	const struct toml *value;
};

static int wrong(const struct place *place, struct error *err, const char *wanted)
{
	return error_set(err, ERROR_INVALID_ARGUMENT, "%s:%d: %s.%s: expected %s", place->file,
	                 place->value->line, place->key->table, place->key->name, wanted);
}

static int set_integer(const struct place *place, int *target, int unit, struct error *err)
{
	const struct config_key *key = place->key;
	autofree char *wanted = mem_printf("an integer from %d to %d", key->min, key->max);

	if (place->value->type != TOML_INTEGER || place->value->integer < key->min ||
	    place->value->integer > key->max)
		return wrong(place, err, wanted);
	*target = (int)place->value->integer * unit;
	return 0;
}

static int set_rate(const struct place *place, int64_t *target, struct error *err)
{
	if (place->value->type != TOML_INTEGER || place->value->integer < 0)
		return wrong(place, err, "an integer of 0 or more");
	*target = place->value->integer;
	return 0;
}

static int set_string(const struct place *place, char **target, struct error *err)
{
	const struct toml *value = place->value;

	if (value->type != TOML_STRING || strlen(value->string) != value->len)
		return wrong(place, err, "a string");
	if (place->key->type == CONFIG_PATH && value->len > 0 && value->string[0] != '/')
		return wrong(place, err, "an absolute path");
	free(*target);
	*target = mem_strdup(value->string);
	return 0;
}

static int set_boolean(const struct place *place, bool *target, struct error *err)
{
	if (place->value->type != TOML_BOOLEAN)
		return wrong(place, err, "true or false");
	*target = place->value->boolean;
	return 0;
}

static int set_choice(const struct place *place, int *target, struct error *err)
{
	const char *const *choices = place->key->choices;
	autofree char *wanted = mem_printf("\"%s\"", choices[0]);

	for (int i = 0; choices[i]; i++) {
		if (place->value->type == TOML_STRING &&
		    !strcmp(place->value->string, choices[i])) {
			*target = i;
			return 0;
		}
		if (i > 0) {
			char *longer = mem_printf("%s or \"%s\"", wanted, choices[i]);

			free(wanted);
			wanted = longer;
		}
	}
	return wrong(place, err, wanted);
}

static int set_value(const struct place *place, struct config *config, struct error *err)
{
	void *target = (char *)config + place->key->offset;

	switch (place->key->type) {
	case CONFIG_STRING:
	case CONFIG_PATH:
		return set_string(place, target, err);
	case CONFIG_BOOLEAN:
		return set_boolean(place, target, err);
	case CONFIG_INTEGER:
		return set_integer(place, target, 1, err);
	case CONFIG_SECONDS:
		return set_integer(place, target, MS_PER_S, err);
	case CONFIG_RATE:
		return set_rate(place, target, err);
	case CONFIG_CHOICE:
		return set_choice(place, target, err);
	case CONFIG_FIXED:
		return set_choice(place, &(int){ 0 }, err);
	}
	return -EINVAL;
}

static const struct config_key *find_key(const char *table, const char *name)
{
	for (const struct config_key *key = config_keys; key->name; key++)
		if (!strcmp(key->table, table) && !strcmp(key->name, name))
			return key;
	return NULL;
}

/* Is it one of ours, or does it have one of ours in it? */
static bool is_table(const char *path)
{
	size_t len = strlen(path);

	for (const struct config_key *key = config_keys; key->name; key++)
		if (!strncmp(key->table, path, len) &&
		    (key->table[len] == '\0' || key->table[len] == '.'))
			return true;
	return false;
}

static int read_table(const char *file, const char *path, const struct toml *table,
                      struct config *config, struct error *err)
{
	for (size_t i = 0; i < table->n_items; i++) {
		const struct toml *item = table->items[i];
		autofree char *name =
			*path ? mem_printf("%s.%s", path, item->key) : mem_strdup(item->key);
		struct place place = { file, find_key(path, item->key), item };
		int r = 0;

		if (place.key)
			r = set_value(&place, config, err);
		else if (item->type == TOML_TABLE && is_table(name))
			r = read_table(file, name, item, config, err);
		else
			log_warn("%s:%d: unknown key %s is ignored", file, item->line, name);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_text(const char *name, const char *text, size_t len, struct config *config,
                     struct error *err)
{
	autodestroy(toml) struct toml *top = NULL;
	int r = toml_parse(name, text, len, &top, err);

	return r < 0 ? r : read_table(name, "", top, config, err);
}

static int read_file(const char *path, struct config *config, struct error *err)
{
	autofree char *text = NULL;
	ssize_t len = file_read(AT_FDCWD, path, TOML_TEXT_MAX, &text, err);

	return len < 0 ? (int)len : read_text(path, text, (size_t)len, config, err);
}

static int set_initial(const struct config_key *key, struct config *config, struct error *err)
{
	autofree char *text = mem_printf("%s.%s = %s", key->table, key->name, key->initial);

	return read_text("initial value", text, strlen(text), config, err);
}

static int is_fragment(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && entry->d_type != DT_DIR;
}

/* In the directory of the file itself, whatever link has led to it. */
static int read_drop_ins(const char *file, struct config *config, struct error *err)
{
	autofree char *path = realpath(file, NULL);
	autofree char *dir = NULL;
	struct dirent **entries = NULL;
	int r = 0;
	int n;

	if (!path)
		return error_errno(err, "cannot find \"%s\"", file);
	dir = mem_printf("%.*s" DROP_INS, (int)(strrchr(path, '/') + 1 - path), path);
	n = scandir(dir, &entries, is_fragment, alphasort);
	if (n < 0)
		return errno == ENOENT ? 0 : error_errno(err, "cannot read directory \"%s\"", dir);
	for (int i = 0; i < n; i++) {
		autofree char *fragment = mem_printf("%s/%s", dir, entries[i]->d_name);

		if (r == 0)
			r = read_file(fragment, config, err);
		free(entries[i]);
	}
	free(entries);
	return r;
}

/* The file that counts, or NULL. One that is asked for counts also if it is not there. */
static const char *find_file(const struct config_source *source, const struct install *install)
{
	const char *environment = getenv(ENVIRONMENT);

	if (source->path && *source->path)
		return source->path;
	if (environment && *environment)
		return environment;
	if (access(SYSTEM_FILE, F_OK) == 0)
		return SYSTEM_FILE;
	if (access(install->config_file, F_OK) == 0)
		return install->config_file;
	return NULL;
}

static int read_files(const struct config_source *source, const struct install *install,
                      struct config *config, struct error *err)
{
	const char *file;
	int r;

	if (source->body && !(source->path && *source->path))
		return read_text(BODY_NAME, source->body, source->body_len, config, err);
	file = find_file(source, install);
	if (!file)
		return 0;
	config->file = mem_strdup(file);
	r = read_file(file, config, err);
	return r < 0 ? r : read_drop_ins(file, config, err);
}

static void fill_path(char **path, const char *installed)
{
	if (**path)
		return;
	free(*path);
	*path = mem_strdup(installed);
}

int config_load(const struct config_source *source, const struct install *install,
                struct config **out, struct error *err)
{
	autodestroy(config) struct config *config = mem_new(struct config);
	int r = 0;

	for (const struct config_key *key = config_keys; key->name && r == 0; key++)
		r = set_initial(key, config, err);
	if (r == 0)
		r = read_files(source, install, config, err);
	if (r < 0)
		return r;
	fill_path(&config->vmm_path, install->vmm);
	fill_path(&config->kernel, install->kernel);
	fill_path(&config->initrd, install->initramfs);
	fill_path(&config->virtiofsd_path, install->virtiofsd);
	*out = take_ptr(&config);
	return 0;
}

void config_destroy(struct config *config)
{
	if (!config)
		return;
	for (const struct config_key *key = config_keys; key->name; key++)
		if (key->type == CONFIG_STRING || key->type == CONFIG_PATH)
			free(*(char **)((char *)config + key->offset));
	free(config->file);
	free(config);
}

void config_log(const struct config *config)
{
	if (config->debug || config->vmm_debug || config->agent_debug)
		log_set_level(LOG_LEVEL_DEBUG);
	log_info("configuration file=%s", config->file ? config->file : "none");
}
