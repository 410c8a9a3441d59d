/*
 * What config.json may ask for in vain: each key is refused by its name, and docs/limitations.md
 * has that name in the first column of one of its tables.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "common/error.h"
#include "common/file.h"
#include "common/json.h"
#include "common/mem.h"
#include "shim/spec/guest_spec.h"
#include "shim/spec/spec.h"
#include "shim/spec/spec_table.h"

#define DEPTH_MAX   8
#define DOC_MAX     (1 << 18)
#define PATH_SIZE   200
#define REFUSED_MIN 20

static char *document;

static void load(void)
{
	cr_assert_gt(file_read(AT_FDCWD, LIMITATIONS, DOC_MAX, &document, NULL), 0);
}

static void unload(void)
{
	free(document);
}

TestSuite(refusals, .init = load, .fini = unload);

/* Whether a code word in @cell is the end of @name, whole keys of it: `cpu.burst` is that of
 * linux.resources.cpu.burst. */
static bool cell_names(const char *cell, size_t len, const char *name)
{
	const char *end = cell + len;

	for (const char *open = memchr(cell, '`', len); open;) {
		const char *close = memchr(open + 1, '`', (size_t)(end - open - 1));
		size_t word = close ? (size_t)(close - open - 1) : 0;
		size_t rest = strlen(name) - word;

		if (!close)
			return false;
		if (word && word <= strlen(name) && !strncmp(name + rest, open + 1, word) &&
		    (rest == 0 || name[rest - 1] == '.'))
			return true;
		open = memchr(close + 1, '`', (size_t)(end - close - 1));
	}
	return false;
}

static bool is_documented(const char *name)
{
	for (const char *line = document; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (*line == '|' && cell_names(line + 1, strcspn(line + 1, "|\n"), name))
			return true;
	}
	return false;
}

/* An object of @table with what is required in it. */
static json_t *make(const struct json_table *table)
{
	json_t *object = json_object();

	for (const struct json_field *row = table->fields; row->key; row++) {
		json_t *value = NULL;

		if (!row->required)
			continue;
		if (row->kind == JSON_KIND_OBJECT)
			value = make(row->table);
		else if (row->kind == JSON_KIND_STRINGS)
			value = json_pack("[s]", "x");
		else if (row->kind == JSON_KIND_STRING)
			value = json_string("x");
		else if (row->kind == JSON_KIND_CUSTOM)
			value = json_string("1.0.2"); /* ociVersion */
		else
			value = json_integer(0);
		json_object_set_new(object, row->key, value);
	}
	return object;
}

/* The way from the top to a row. */
struct way {
	const struct json_field *rows[DEPTH_MAX];
	int depth;
};

static json_t *make_refused(const struct way *way, const char *key)
{
	json_t *top = make(&spec_table);
	json_t *at = top;

	for (int i = 0; i < way->depth; i++) {
		json_t *below = make(way->rows[i]->table);
		bool many = way->rows[i]->kind == JSON_KIND_OBJECTS;

		json_object_set_new(at, way->rows[i]->key, many ? json_pack("[o]", below) : below);
		at = below;
	}
	json_object_set_new(at, key, json_true());
	return top;
}

/* "mounts[0].uidMappings" and, without the index, as a document names it. */
static void name_of(const struct way *way, const char *key, const char *index, char name[PATH_SIZE])
{
	*name = '\0';
	for (int i = 0; i < way->depth; i++) {
		bool many = way->rows[i]->kind == JSON_KIND_OBJECTS;

		snprintf(name + strlen(name), PATH_SIZE - strlen(name), "%s%s.", way->rows[i]->key,
		         many ? index : "");
	}
	snprintf(name + strlen(name), PATH_SIZE - strlen(name), "%s", key);
}

static void expect_refused(const struct way *way, const char *key)
{
	char name[PATH_SIZE], plain[PATH_SIZE];
	json_t *config = make_refused(way, key);
	autofree char *text = json_dumps(config, 0);
	autofree char *expected = NULL;
	Grpc__Spec *spec = NULL;
	struct error err = { 0 };

	name_of(way, key, "[0]", name);
	name_of(way, key, "", plain);
	expected = mem_printf("config.json: %s: not supported", name);
	cr_expect_eq(spec_parse(text, strlen(text), &spec, &err), -ENOSYS, "%s", text);
	cr_expect_str_eq(err.text, expected);
	cr_expect(is_documented(plain), "docs/limitations.md does not name %s", plain);
	json_decref(config);
}

/* Returns how many were refused. */
static int walk(const struct json_table *table, struct way *way)
{
	int refused = 0;

	for (const struct json_field *row = table->fields; row->key; row++) {
		if (row->kind == JSON_KIND_REFUSED) {
			expect_refused(way, row->key);
			refused++;
		} else if (row->kind == JSON_KIND_OBJECT || row->kind == JSON_KIND_OBJECTS) {
			cr_assert_lt(way->depth, DEPTH_MAX);
			way->rows[way->depth++] = row;
			refused += walk(row->table, way);
			way->depth--;
		}
	}
	return refused;
}

Test(refusals, of_keys_are_by_name_and_documented)
{
	struct way way = { .depth = 0 };

	cr_expect_geq(walk(&spec_table, &way), REFUSED_MIN);
}

#define CONFIG(members, process, linux_)                                                           \
	"{\"ociVersion\":\"1.0.2\",\"process\":{\"args\":[\"sh\"],\"cwd\":\"/\"" process           \
	"},\"root\":{\"path\":\"r\"}" members ",\"linux\":{\"namespaces\":[{\"type\":\"network\"}" \
	"]" linux_ "}}"

/* Refused by more than the presence of a key; @name: as the document has it. */
static const struct {
	const char *config;
	const char *text; /* in the error */
	const char *name;
} values[] = {
	{ CONFIG("", ",\"user\":{\"umask\":63}", ""), "process.user.umask", "process.user.umask" },
	{ CONFIG("", "", ",\"personality\":{\"domain\":\"LINUX32\"}"), "linux.personality",
	  "linux.personality" },
	{ CONFIG("", "", ",\"seccomp\":{\"defaultAction\":\"x\",\"defaultErrnoRet\":5}"),
	  "linux.seccomp.defaultErrnoRet", "linux.seccomp.defaultErrnoRet" },
	{ CONFIG("", "", ",\"devices\":[{\"path\":\"/dev/x\",\"type\":\"c\",\"major\":8}]"),
	  "linux.devices[0]", "linux.devices" },
	{ "{\"ociVersion\":\"1.0.2\",\"process\":{\"args\":[\"sh\"],\"cwd\":\"/\"},"
	  "\"root\":{\"path\":\"r\"},\"linux\":{\"namespaces\":[]}}",
	  "linux.namespaces", "linux.namespaces" },
	{ "{\"ociVersion\":\"1.0.2\",\"process\":{\"args\":[\"sh\"],\"cwd\":\"/\"},"
	  "\"root\":{\"path\":\"r\"},\"linux\":{\"namespaces\":[{\"type\":\"network\"},"
	  "{\"type\":\"ipc\",\"path\":\"/x\"}]}}",
	  "linux.namespaces[1]", "linux.namespaces" },
};

Test(refusals, of_values_are_by_name_and_documented)
{
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		autodestroy(spec) Grpc__Spec *spec = NULL;
		struct error err = { 0 };
		int r = spec_parse(values[i].config, strlen(values[i].config), &spec, &err);

		if (r == 0)
			r = guest_spec_apply(spec, "c1", NULL, &err);
		cr_expect_eq(r, -ENOSYS, "%s", values[i].config);
		cr_expect(strstr(err.text, values[i].text), "%s: %s", values[i].text, err.text);
		cr_expect(is_documented(values[i].name), "docs/limitations.md does not name %s",
		          values[i].name);
	}
}

/* Those of a mount, which volumes.c, rootfs_options.c and the agent refuse: their own tests show it.
 */
Test(refusals, of_mount_options_are_documented)
{
	static const char *const names[] = {
		"shared", "rshared", "idmap", "ridmap", "tmpcopyup", "uidmap=", "gidmap=",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		cr_expect(is_documented(names[i]), "docs/limitations.md does not name %s",
		          names[i]);
}

Test(refusals, of_nothing_else_are_taken_for_documented)
{
	cr_expect_not(is_documented("linux.nosuch"));
	cr_expect_not(is_documented("urst"));
}
