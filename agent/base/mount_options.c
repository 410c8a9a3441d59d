#include "agent/base/mount_options.h"

#include <linux/mount.h>
#include <string.h>
#include <sys/mount.h>

#include "common/error.h"
#include "common/mem.h"
#include "common/mount_words.h"

/* What the specification knows and we do not do: as data it would fail with less of a reason. */
static const char *const refused[] = { "tmpcopyup", "idmap", "ridmap", NULL };

unsigned long mount_propagation(const char *name)
{
	const struct mount_word *word = mount_word_find(name);

	return word && word->kind == MOUNT_WORD_PROPAGATION ? word->set : 0;
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

static void add_attr(struct mount_options *options, const struct mount_word *word)
{
	options->attr_set = (options->attr_set & ~word->clear) | word->set;
	options->attr_clear = (options->attr_clear & ~(word->set & ~word->clear)) | word->clear;
}

static int add_option(struct mount_options *options, const char *name, struct error *err)
{
	const struct mount_word *word = mount_word_find(name);

	for (size_t i = 0; !word && refused[i]; i++)
		if (!strcmp(name, refused[i]))
			return error_set(err, ERROR_UNIMPLEMENTED,
			                 "mount option \"%s\": not supported", name);
	if (!word)
		return add_data(options, name, err);
	if (word->kind == MOUNT_WORD_PROPAGATION)
		return add_propagation(options, word->set, err);
	if (word->kind == MOUNT_WORD_TREE)
		add_attr(options, word);
	else
		options->flags = (options->flags & ~word->clear) | word->set;
	return 0;
}

int mount_options_parse(char *const *words, size_t count, struct mount_options *out,
                        struct error *err)
{
	struct mount_options options = { .data = mem_strdup("") };
	size_t i;
	int r;

	for (i = 0; i < count; i++) {
		r = add_option(&options, words[i], err);
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

uint64_t mount_options_attrs(const struct mount_options *options)
{
	static const struct {
		unsigned long flag;
		uint64_t attr;
	} rows[] = {
		{ MS_RDONLY, MOUNT_ATTR_RDONLY },
		{ MS_NOSUID, MOUNT_ATTR_NOSUID },
		{ MS_NODEV, MOUNT_ATTR_NODEV },
		{ MS_NOEXEC, MOUNT_ATTR_NOEXEC },
		{ MS_NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW },
		{ MS_NODIRATIME, MOUNT_ATTR_NODIRATIME },
		{ MS_NOATIME, MOUNT_ATTR_NOATIME },
		{ MS_STRICTATIME, MOUNT_ATTR_STRICTATIME },
	};
	uint64_t attrs = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (options->flags & rows[i].flag)
			attrs |= rows[i].attr;
	return attrs;
}
