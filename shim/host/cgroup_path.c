#include "shim/host/cgroup_path.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

#define PREFIX "kata_"
#define SLICE  ".slice"

/* Without empty parts and "."; ".." goes up, at most to the top. */
static char *clean(const char *text)
{
	char *out = mem_alloc(strlen(text) + 2);
	size_t len = 0;

	for (const char *at = text; *at;) {
		size_t n = strcspn(at, "/");

		if (n == 2 && memcmp(at, "..", 2) == 0) {
			while (len > 0 && out[--len] != '/')
				;
		} else if (n > 0 && !(n == 1 && *at == '.')) {
			out[len++] = '/';
			memcpy(out + len, at, n);
			len += n;
		}
		at += n;
		at += *at == '/';
	}
	out[len] = '\0';
	return out;
}

/* systemd.slice(5): "a-b.slice" is in "a.slice". */
static char *slice_dir(const char *slice)
{
	size_t len = strlen(slice) - strlen(SLICE);
	char *dir = mem_strdup("");

	if (strcmp(slice, "-" SLICE) == 0)
		return dir;
	for (size_t i = 1; i <= len; i++) {
		char *more;

		if (i < len && slice[i] != '-')
			continue;
		more = mem_printf("%s/%.*s" SLICE, dir, (int)i, slice);
		free(dir);
		dir = more;
	}
	return dir;
}

/* "SLICE:PREFIX:NAME" has no slashes. */
static bool parse_systemd(const char *text, struct cgroup_path *out)
{
	const char *prefix = strchr(text, ':');
	const char *name = prefix ? strchr(prefix + 1, ':') : NULL;
	size_t slice_len = prefix ? (size_t)(prefix - text) : 0;
	char *dir;

	if (!name || strchr(name + 1, ':') || strchr(text, '/') || !name[1] ||
	    slice_len <= strlen(SLICE) || memcmp(prefix - strlen(SLICE), SLICE, strlen(SLICE)) != 0)
		return false;
	out->slice = mem_printf("%.*s", (int)slice_len, text);
	if (name == prefix + 1)
		out->unit = mem_printf("%s.scope", name + 1);
	else
		out->unit =
			mem_printf("%.*s-%s.scope", (int)(name - prefix - 1), prefix + 1, name + 1);
	dir = slice_dir(out->slice);
	out->dir = mem_printf("%s/%s", dir, out->unit);
	free(dir);
	return true;
}

bool cgroup_path_parse(const char *text, struct cgroup_path *out)
{
	char *path, *last;

	*out = (struct cgroup_path){ 0 };
	if (parse_systemd(text, out))
		return true;
	path = clean(text);
	last = strrchr(path, '/');
	if (last)
		out->dir = mem_printf("%.*s/" PREFIX "%s", (int)(last - path), path, last + 1);
	free(path);
	return last;
}

void cgroup_path_fini(struct cgroup_path *path)
{
	free(path->dir);
	free(path->slice);
	free(path->unit);
	*path = (struct cgroup_path){ 0 };
}
