#include "shim/storage/rootfs_options.h"

#include <stdbool.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/mem.h"
#include "common/mount_words.h"

#define LOWERDIR     "lowerdir="
#define LOWERDIR_LEN (sizeof(LOWERDIR) - 1)
#define DATA_MAX     (1 << 20) /* while it is put together */

/* What mount(8) would do for itself, or what says nothing about the one mount. */
static const char *const refused[] = { "loop", "move", "remount", NULL };
/* For a user namespace; the snapshotter's own words, which no kernel knows. */
static const char *const refused_prefixes[] = { "uidmap=", "gidmap=", NULL };

static int check_option(const char *name, const struct mount_word *word, struct error *err)
{
	bool no = word && word->kind != MOUNT_WORD_FLAG;

	for (size_t i = 0; refused[i]; i++)
		no |= !strcmp(name, refused[i]);
	for (size_t i = 0; refused_prefixes[i]; i++)
		no |= !strncmp(name, refused_prefixes[i], strlen(refused_prefixes[i]));
	return no ? error_set(err, ERROR_UNIMPLEMENTED, "mount option \"%s\": not supported", name)
	          : 0;
}

/* The end of the first layer of "a:b:c"; a colon in a name has a backslash before it. */
static const char *layer_end(const char *layers)
{
	while (*layers && *layers != ':')
		layers += *layers == '\\' && layers[1] ? 2 : 1;
	return layers;
}

/* How many bytes of "/x/a" and of what is in common till now ("/x/y/", its length) agree, down to a
 * slash. What follows of a layer must not be nothing. */
static size_t common_length(const char *common, size_t len, const char *layer, size_t layer_len)
{
	size_t n = 0;

	while (n < len && n + 1 < layer_len && common[n] == layer[n])
		n++;
	while (n > 0 && common[n - 1] != '/')
		n--;
	return n;
}

/* The length of the directory that all layers are below, with its last slash; 0: there is none.
 * Relative ones are left alone: they are not the only ones. */
static size_t common_dir(const char *layers)
{
	size_t len = *layers == '/' ? strlen(layers) : 0;

	for (const char *layer = layers; len > 0; layer++) {
		const char *end = layer_end(layer);

		len = common_length(layers, len, layer, (size_t)(end - layer));
		layer = end;
		if (!*end)
			break;
	}
	return memchr(layers, '\\', len) ? 0 : len;
}

static int append_layers(struct buf *data, const char *layers, char **dir)
{
	size_t skip = common_dir(layers);
	int r = buf_append(data, LOWERDIR, LOWERDIR_LEN);

	for (const char *layer = layers; r == 0; layer++) {
		const char *end = layer_end(layer);

		r = buf_append(data, layer + skip, (size_t)(end - layer) - skip + (*end == ':'));
		layer = end;
		if (!*end)
			break;
	}
	if (skip > 0)
		*dir = mem_printf("%.*s", (int)skip, layers);
	return r;
}

static int append_data(struct buf *data, const char *type, const char *option, char **dir)
{
	int r = data->len > 0 ? buf_append(data, ",", 1) : 0;

	if (r < 0)
		return r;
	if (!strcmp(type, "overlay") && !*dir && !strncmp(option, LOWERDIR, LOWERDIR_LEN))
		return append_layers(data, option + LOWERDIR_LEN, dir);
	return buf_append(data, option, strlen(option));
}

static int parse_option(const char *type, const char *option, struct buf *data,
                        struct rootfs_options *out, struct error *err)
{
	const struct mount_word *word = mount_word_find(option);

	if (check_option(option, word, err) < 0)
		return error_code_errno(err->code);
	if (word) {
		out->flags = (out->flags & ~word->clear) | word->set;
		return 0;
	}
	if (append_data(data, type, option, &out->dir) < 0)
		return error_set(err, ERROR_INVALID_ARGUMENT, "mount options are too long");
	return 0;
}

int rootfs_options_parse(const char *type, char *const *options, size_t n,
                         struct rootfs_options *out, struct error *err)
{
	struct buf data = BUF_INIT(DATA_MAX);
	long max = sysconf(_SC_PAGESIZE) - 1;
	int r = 0;

	*out = (struct rootfs_options){ .flags = !strcmp(type, "bind") ? MS_BIND : 0 };
	for (size_t i = 0; i < n && r == 0; i++)
		r = parse_option(type, options[i], &data, out, err);
	if (r == 0 && data.len > (size_t)max)
		r = error_set(err, ERROR_INVALID_ARGUMENT,
		              "mount options of %zu bytes are longer than %ld", data.len, max);
	if (r == 0)
		out->data = mem_printf("%.*s", (int)data.len, data.len ? buf_data(&data) : "");
	else
		rootfs_options_fini(out);
	buf_fini(&data);
	return r;
}

void rootfs_options_fini(struct rootfs_options *options)
{
	free(options->data);
	free(options->dir);
	*options = (struct rootfs_options){ 0 };
}
