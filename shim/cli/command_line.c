#include "shim/cli/command_line.h"

#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/error.h"

#define NAME_MAX_LEN 76 /* containerd's limit for identifiers */

enum option_type {
	OPTION_TEXT,
	OPTION_SWITCH,
};

static const struct option_row {
	const char *name;
	enum option_type type;
	size_t offset;
} rows[] = {
	{ "namespace", OPTION_TEXT, offsetof(struct command_line, namespace) },
	{ "address", OPTION_TEXT, offsetof(struct command_line, address) },
	{ "publish-binary", OPTION_TEXT, offsetof(struct command_line, publish_binary) },
	{ "socket", OPTION_TEXT, offsetof(struct command_line, socket) },
	{ "debug-socket", OPTION_TEXT, offsetof(struct command_line, debug_socket) },
	{ "id", OPTION_TEXT, offsetof(struct command_line, id) },
	{ "bundle", OPTION_TEXT, offsetof(struct command_line, bundle) },
	{ "debug", OPTION_SWITCH, offsetof(struct command_line, debug) },
	{ "version", OPTION_SWITCH, offsetof(struct command_line, version) },
	{ "v", OPTION_SWITCH, offsetof(struct command_line, version) },
	{ "info", OPTION_SWITCH, offsetof(struct command_line, info) },
};

static const struct option_row *row_find(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strlen(rows[i].name) == len && strncmp(rows[i].name, name, len) == 0)
			return &rows[i];
	return NULL;
}

static int switch_set(bool *out, const char *value)
{
	if (!value || strcmp(value, "true") == 0 || strcmp(value, "1") == 0)
		*out = true;
	else if (strcmp(value, "false") == 0 || strcmp(value, "0") == 0)
		*out = false;
	else
		return -1;
	return 0;
}

/* Reads the option at *@argv; returns how many words it takes. */
static int option_read(char *const *argv, struct command_line *out, struct error *err)
{
	const char *name = argv[0] + (argv[0][1] == '-' ? 2 : 1);
	size_t len = strcspn(name, "=");
	const char *value = name[len] ? name + len + 1 : NULL;
	const struct option_row *row = row_find(name, len);
	char *field;

	if (!row)
		return error_set(err, ERROR_INVALID_ARGUMENT, "invalid option \"%s\": unknown",
		                 argv[0]);
	field = (char *)out + row->offset;
	if (row->type == OPTION_SWITCH) {
		if (switch_set((bool *)field, value) < 0)
			return error_set(err, ERROR_INVALID_ARGUMENT,
			                 "invalid option \"%s\": expected true or false", argv[0]);
		return 1;
	}
	if (!value && !argv[1])
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "invalid option \"%s\": needs a value", argv[0]);
	*(const char **)field = value ? value : argv[1];
	return value ? 1 : 2;
}

int command_line_parse(int argc, char *const *argv, struct command_line *out, struct error *err)
{
	struct command_line line = { 0 };
	int i = 1;

	for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++)
		if (rows[row].type == OPTION_TEXT)
			*(const char **)((char *)&line + rows[row].offset) = "";
	while (i < argc && argv[i][0] == '-' && argv[i][1] && strcmp(argv[i], "--") != 0) {
		int taken = option_read(argv + i, &line, err);

		if (taken < 0)
			return taken;
		i += taken;
	}
	if (i < argc && strcmp(argv[i], "--") == 0)
		i++;
	line.command = i < argc ? argv[i] : "";
	*out = line;
	return 0;
}

/* Letters and digits, with single separators between them. */
static bool name_is_valid(const char *name)
{
	bool after_alnum = false;

	for (const char *c = name; *c; c++) {
		bool alnum = isalnum((unsigned char)*c);

		if (!alnum && (!after_alnum || !strchr("._-", *c)))
			return false;
		after_alnum = alnum;
	}
	return after_alnum;
}

static int check_name(const char *what, const char *name, struct error *err)
{
	if (!*name)
		return error_set(err, ERROR_INVALID_ARGUMENT, "option -%s is missing", what);
	if (strlen(name) > NAME_MAX_LEN)
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "invalid option -%s \"%s\": longer than %d characters", what, name,
		                 NAME_MAX_LEN);
	if (!name_is_valid(name))
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "invalid option -%s \"%s\": expected letters and digits, "
		                 "separated by single '.', '_' or '-'",
		                 what, name);
	return 0;
}

int command_line_check_names(const struct command_line *line, struct error *err)
{
	int r = check_name("namespace", line->namespace, err);

	return r < 0 ? r : check_name("id", line->id, err);
}

char *command_line_bundle(const struct command_line *line, struct error *err)
{
	const char *path = *line->bundle ? line->bundle : ".";
	char *absolute = realpath(path, NULL);

	if (!absolute)
		error_errno(err, "cannot find bundle \"%s\"", path);
	return absolute;
}
