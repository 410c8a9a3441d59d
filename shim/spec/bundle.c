#include "shim/spec/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "common/file.h"
#include "common/json.h"
#include "common/mem.h"
#include "shim/spec/cri.h"
#include "shim/spec/spec.h"

#define CONFIG_FILE "config.json"

struct bundle {
	char *dir;
	char *rootfs;
	Grpc__Spec *spec;
	enum bundle_type type;
	char *sandbox_id; /* NULL: a container of its own */
	char *origin;     /* of the spec; NULL: the file */
	bool options_come_late;
};

static int read_type(struct bundle *bundle, struct error *err)
{
	static const enum bundle_type types[] = {
		[CRI_NONE] = BUNDLE_SINGLE,
		[CRI_SANDBOX] = BUNDLE_SANDBOX,
		[CRI_CONTAINER] = BUNDLE_CONTAINER,
	};
	struct cri cri;
	int r = cri_read(bundle->spec, &cri, err);

	if (r < 0)
		return r;
	bundle->type = types[cri.type];
	bundle->options_come_late = cri.options_come_late;
	if (cri.sandbox_id)
		bundle->sandbox_id = mem_strdup(cri.sandbox_id);
	return 0;
}

static int read_config(struct bundle *bundle, struct error *err)
{
	autoclose int fd = open(bundle->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	autofree char *text = NULL;
	ssize_t len;
	int r;

	if (fd < 0)
		return error_errno(err, "cannot open the directory");
	len = file_read(fd, CONFIG_FILE, JSON_TEXT_MAX, &text, err);
	if (len < 0)
		return (int)len;
	r = spec_parse(text, (size_t)len, &bundle->spec, err);
	return r < 0 ? r : read_type(bundle, err);
}

static void set_rootfs(struct bundle *bundle)
{
	const char *path = bundle->spec->root->path;

	if (path[0] == '/')
		bundle->rootfs = mem_strdup(path);
	else
		bundle->rootfs = mem_printf("%s/%s", bundle->dir, path);
}

static int find(const char *dir, struct bundle *bundle, struct error *err)
{
	bundle->dir = realpath(dir, NULL);
	return bundle->dir ? 0 : error_errno(err, "cannot find bundle \"%s\"", dir);
}

int bundle_load(const char *dir, struct bundle **out, struct error *err)
{
	autodestroy(bundle) struct bundle *bundle = mem_new(struct bundle);
	int r = find(dir, bundle, err);

	if (r < 0)
		return r;
	if (read_config(bundle, err) < 0)
		return error_wrap(err, "bundle \"%s\"", bundle->dir);
	set_rootfs(bundle);
	*out = take_ptr(&bundle);
	return 0;
}

int bundle_make(const char *dir, Grpc__Spec *spec, const char *origin, struct bundle **out,
                struct error *err)
{
	autodestroy(bundle) struct bundle *bundle = mem_new(struct bundle);
	int r;

	bundle->spec = spec;
	bundle->origin = mem_strdup(origin);
	r = find(dir, bundle, err);
	if (r == 0)
		r = read_type(bundle, err);
	if (r < 0)
		return r;
	set_rootfs(bundle);
	*out = take_ptr(&bundle);
	return 0;
}

bool bundle_is_bare(const char *dir)
{
	autoclose int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 && faccessat(fd, CONFIG_FILE, F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
	       errno == ENOENT;
}

void bundle_destroy(struct bundle *bundle)
{
	if (!bundle)
		return;
	spec_free(bundle->spec);
	free(bundle->dir);
	free(bundle->rootfs);
	free(bundle->sandbox_id);
	free(bundle->origin);
	free(bundle);
}

const char *bundle_dir(const struct bundle *bundle)
{
	return bundle->dir;
}

int bundle_wrap_error(const struct bundle *bundle, struct error *err)
{
	if (bundle->origin)
		return error_wrap(err, "%s", bundle->origin);
	return error_wrap(err, "bundle \"%s\": " CONFIG_FILE, bundle->dir);
}

bool bundle_options_come_late(const struct bundle *bundle)
{
	return bundle->options_come_late;
}

Grpc__Spec *bundle_spec(struct bundle *bundle)
{
	return bundle->spec;
}

enum bundle_type bundle_type(const struct bundle *bundle)
{
	return bundle->type;
}

const char *bundle_sandbox_id(const struct bundle *bundle)
{
	return bundle->sandbox_id;
}

const char *bundle_rootfs(const struct bundle *bundle)
{
	return bundle->rootfs;
}
