#include "agent/base/mount_options.h"

#include <linux/mount.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mount.h>

#include "common/error.h"
#include "common/mem.h"

#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif

struct flag_row {
	const char *word;
	bool clear;
	unsigned long flag;
};

static const struct flag_row flag_rows[] = {
	{ "async", true, MS_SYNCHRONOUS },
	{ "atime", true, MS_NOATIME },
	{ "bind", false, MS_BIND },
	{ "defaults", false, 0 },
	{ "dev", true, MS_NODEV },
	{ "diratime", true, MS_NODIRATIME },
	{ "dirsync", false, MS_DIRSYNC },
	{ "exec", true, MS_NOEXEC },
	{ "iversion", false, MS_I_VERSION },
	{ "lazytime", false, MS_LAZYTIME },
	{ "loud", true, MS_SILENT },
	{ "mand", false, MS_MANDLOCK },
	{ "noatime", false, MS_NOATIME },
	{ "nodev", false, MS_NODEV },
	{ "nodiratime", false, MS_NODIRATIME },
	{ "noexec", false, MS_NOEXEC },
	{ "noiversion", true, MS_I_VERSION },
	{ "nolazytime", true, MS_LAZYTIME },
	{ "nomand", true, MS_MANDLOCK },
	{ "norelatime", true, MS_RELATIME },
	{ "nostrictatime", true, MS_STRICTATIME },
	{ "nosuid", false, MS_NOSUID },
	{ "nosymfollow", false, MS_NOSYMFOLLOW },
	{ "rbind", false, MS_BIND | MS_REC },
	{ "relatime", false, MS_RELATIME },
	{ "remount", false, MS_REMOUNT },
	{ "ro", false, MS_RDONLY },
	{ "rw", true, MS_RDONLY },
	{ "silent", false, MS_SILENT },
	{ "strictatime", false, MS_STRICTATIME },
	{ "suid", true, MS_NOSUID },
	{ "symfollow", true, MS_NOSYMFOLLOW },
	{ "sync", false, MS_SYNCHRONOUS },
	{ 0 },
};

static const struct flag_row propagation_rows[] = {
	{ "private", false, MS_PRIVATE },
	{ "rprivate", false, MS_PRIVATE | MS_REC },
	{ "rshared", false, MS_SHARED | MS_REC },
	{ "rslave", false, MS_SLAVE | MS_REC },
	{ "runbindable", false, MS_UNBINDABLE | MS_REC },
	{ "shared", false, MS_SHARED },
	{ "slave", false, MS_SLAVE },
	{ "unbindable", false, MS_UNBINDABLE },
	{ 0 },
};

/* For the whole tree. An access time mode replaces the one there was. */
static const struct flag_row attr_rows[] = {
	{ "ratime", true, MOUNT_ATTR_NOATIME },
	{ "rdev", true, MOUNT_ATTR_NODEV },
	{ "rdiratime", true, MOUNT_ATTR_NODIRATIME },
	{ "rexec", true, MOUNT_ATTR_NOEXEC },
	{ "rnoatime", false, MOUNT_ATTR_NOATIME },
	{ "rnodev", false, MOUNT_ATTR_NODEV },
	{ "rnodiratime", false, MOUNT_ATTR_NODIRATIME },
	{ "rnoexec", false, MOUNT_ATTR_NOEXEC },
	{ "rnorelatime", true, MOUNT_ATTR_RELATIME },
	{ "rnostrictatime", true, MOUNT_ATTR_STRICTATIME },
	{ "rnosuid", false, MOUNT_ATTR_NOSUID },
	{ "rnosymfollow", false, MOUNT_ATTR_NOSYMFOLLOW },
	{ "rrelatime", false, MOUNT_ATTR_RELATIME },
	{ "rro", false, MOUNT_ATTR_RDONLY },
	{ "rrw", true, MOUNT_ATTR_RDONLY },
	{ "rstrictatime", false, MOUNT_ATTR_STRICTATIME },
	{ "rsuid", true, MOUNT_ATTR_NOSUID },
	{ "rsymfollow", true, MOUNT_ATTR_NOSYMFOLLOW },
	{ 0 },
};

/* What the specification knows and we do not do: as data it would fail with less of a reason. */
static const char *const refused[] = { "tmpcopyup", "idmap", "ridmap", NULL };

static const struct flag_row *find(const struct flag_row *rows, const char *word)
{
	for (; rows->word; rows++)
		if (!strcmp(rows->word, word))
			return rows;
	return NULL;
}

unsigned long mount_propagation(const char *word)
{
	const struct flag_row *row = find(propagation_rows, word);

	return row ? row->flag : 0;
}

static int add_data(struct mount_options *options, const char *word, struct error *err)
{
	char *data = mem_printf("%s%s%s", options->data, *options->data ? "," : "", word);

	free(options->data);
	options->data = data;
	if (strlen(data) > MOUNT_DATA_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT, "more than %d bytes of options",
		                 MOUNT_DATA_MAX);
	return 0;
}

static int add_propagation(struct mount_options *options, unsigned long flag, struct error *err)
{
	if (options->n_propagation == MOUNT_PROPAGATION_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT, "more than %d propagation options",
		                 MOUNT_PROPAGATION_MAX);
	options->propagation[options->n_propagation++] = flag;
	return 0;
}

static void add_attr(struct mount_options *options, const struct flag_row *row)
{
	uint64_t atime = row->flag & MOUNT_ATTR__ATIME;
	bool is_atime = atime || !row->flag; /* MOUNT_ATTR_RELATIME is 0 */

	if (is_atime) {
		options->attr_set &= ~(uint64_t)MOUNT_ATTR__ATIME;
		options->attr_clear |= MOUNT_ATTR__ATIME;
		options->attr_set |= row->clear ? 0 : atime;
	} else if (row->clear) {
		options->attr_clear |= row->flag;
		options->attr_set &= ~row->flag;
	} else {
		options->attr_set |= row->flag;
		options->attr_clear &= ~row->flag;
	}
}

static int add_word(struct mount_options *options, const char *word, struct error *err)
{
	const struct flag_row *row = find(flag_rows, word);
	size_t i;

	for (i = 0; refused[i]; i++)
		if (!strcmp(word, refused[i]))
			return error_set(err, ERROR_UNIMPLEMENTED,
			                 "mount option '%s' is not supported", word);
	if (row && row->clear) {
		options->flags &= ~row->flag;
		return 0;
	}
	if (row) {
		options->flags |= row->flag;
		return 0;
	}
	row = find(propagation_rows, word);
	if (row)
		return add_propagation(options, row->flag, err);
	row = find(attr_rows, word);
	if (!row)
		return add_data(options, word, err);
	add_attr(options, row);
	return 0;
}

int mount_options_parse(char *const *words, size_t count, struct mount_options *out,
                        struct error *err)
{
	struct mount_options options = { .data = mem_strdup("") };
	size_t i;
	int r;

	for (i = 0; i < count; i++) {
		r = add_word(&options, words[i], err);
		if (r < 0) {
			mount_options_fini(&options);
			return r;
		}
	}
	*out = options;
	return 0;
}

void mount_options_fini(struct mount_options *options)
{
	free(options->data);
	options->data = NULL;
}
