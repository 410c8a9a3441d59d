#include "shim/storage/direct_volume.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "common/file.h"
#include "common/json.h"
#include "common/mem.h"

#define RECORD     "mountInfo.json"
#define RECORD_MAX 65536

static const struct json_field group_rows[] = {
	{ JSON_STRING(struct direct_volume_group, "fsGroup", id) },
	{ JSON_STRING(struct direct_volume_group, "fsGroupChangePolicy", change_policy) },
	{ 0 },
};
static const struct direct_volume_group group_initial;
static const struct json_table group_table = {
	.size = sizeof(group_initial),
	.initial = &group_initial,
	.fields = group_rows,
};

static const struct json_field rows[] = {
	{ JSON_STRING(struct direct_volume, "volume-type", type) },
	{ JSON_STRING(struct direct_volume, "device", device), .required = true },
	{ JSON_STRING(struct direct_volume, "fstype", fstype), .required = true },
	{ JSON_STRINGS(struct direct_volume, "options", options) },
	{ JSON_OBJECT(struct direct_volume, "metadata", group, &group_table) },
	{ 0 },
};
static const struct direct_volume initial;
static const struct json_table table = {
	.size = sizeof(initial),
	.initial = &initial,
	.fields = rows,
};

void direct_volume_destroy(struct direct_volume *volume)
{
	if (!volume)
		return;
	for (size_t i = 0; i < volume->n_options; i++)
		free(volume->options[i]);
	free(volume->options);
	free(volume->type);
	free(volume->device);
	free(volume->fstype);
	if (volume->group) {
		free(volume->group->id);
		free(volume->group->change_policy);
	}
	free(volume->group);
	free(volume);
}

/* RFC 4648, "base 64 encoding with URL and filename safe alphabet". */
static char *encode(const char *text, bool padded)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	size_t len = strlen(text);
	char *out = mem_alloc(len / 3 * 4 + 5);
	size_t n = 0;

	for (size_t i = 0; i < len; i += 3) {
		size_t left = len - i < 3 ? len - i : 3;
		uint32_t bits = 0;

		for (size_t j = 0; j < 3; j++)
			bits = bits << 8 | (j < left ? (unsigned char)text[i + j] : 0);
		for (size_t j = 0; j < 4; j++) {
			if (j <= left)
				out[n++] = digits[bits >> (18 - 6 * j) & 0x3f];
			else if (padded)
				out[n++] = '=';
		}
	}
	out[n] = '\0';
	return out;
}

/* Upstream's two runtimes differ in whether they fill the last group up. NULL: there is no record. */
static char *read_record(const char *dir, const char *path, struct error *err, int *r)
{
	char *text = NULL;

	for (int padded = 1; padded >= 0; padded--) {
		autofree char *name = encode(path, padded);
		autofree char *file = mem_printf("%s/%s/" RECORD, dir, name);

		*r = file_read(AT_FDCWD, file, RECORD_MAX, &text, err);
		if (*r != -ENOENT && *r != -ENAMETOOLONG)
			break;
		*r = 0;
	}
	return text;
}

static bool is_supported(const char *type)
{
	return !type || !*type || !strcmp(type, "block") || !strcmp(type, "directvol");
}

static int parse(const char *text, struct direct_volume *volume, struct error *err)
{
	json_t *value = NULL;
	int r = json_parse(RECORD, text, strlen(text), &value, err);

	if (r < 0)
		return r;
	r = json_read(value, NULL, &table, volume, err);
	json_decref(value);
	if (r < 0)
		return error_wrap(err, RECORD);
	if (!is_supported(volume->type))
		return error_set(err, ERROR_UNIMPLEMENTED,
		                 RECORD ": volume-type \"%s\": not supported", volume->type);
	if (*volume->device != '/' || !*volume->fstype)
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 RECORD ": invalid device \"%s\" with fstype \"%s\"",
		                 volume->device, volume->fstype);
	return 0;
}

int direct_volume_find(const char *dir, const char *path, struct direct_volume **out,
                       struct error *err)
{
	autodestroy(direct_volume) struct direct_volume *volume = NULL;
	int r = 0;
	autofree char *text = read_record(dir, path, err, &r);

	*out = NULL;
	if (r < 0 || !text)
		return r < 0 ? error_wrap(err, "direct volume \"%s\"", path) : 0;
	volume = json_table_new(&table);
	if (parse(text, volume, err) < 0)
		return error_wrap(err, "direct volume \"%s\"", path);
	*out = take_ptr(&volume);
	return 0;
}

bool direct_volume_group(const struct direct_volume *volume, uint32_t *group,
                         bool *on_root_mismatch)
{
	const struct direct_volume_group *from = volume->group;
	char *end = NULL;
	unsigned long id;

	if (!from || !from->id || !*from->id)
		return false;
	id = strtoul(from->id, &end, 10);
	if (*end || id > UINT32_MAX)
		return false;
	*group = (uint32_t)id;
	*on_root_mismatch = from->change_policy && !strcmp(from->change_policy, "OnRootMismatch");
	return true;
}
