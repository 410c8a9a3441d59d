#include "shim/host/cgroup_mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/file.h"
#include "common/mem.h"

#define OWN_FILE         "/proc/self/cgroup"
#define MOUNTS_FILE      "/proc/self/mountinfo"
#define OWN_MAX          65536
#define CONTROLLERS_MAX  4096
#define CONTROLLERS_FILE "cgroup.controllers"

/* Fields of a line of mountinfo, up to the " - ". */
enum {
	FIELD_ID,
	FIELD_PARENT,
	FIELD_DEVICE,
	FIELD_ROOT,
	FIELD_DIR,
	N_FIELDS
};

/* Whether the list @words, separated by one of @between, has @word. */
static bool has_word(const char *words, const char *between, const char *word, size_t len)
{
	for (const char *at = words; *at;) {
		size_t n = strcspn(at, between);

		if (n == len && memcmp(at, word, len) == 0)
			return true;
		at += n;
		at += strspn(at, between);
	}
	return false;
}

/* The line of /proc/self/cgroup that is of the hierarchy with these options: "ID:CONTROLLERS:PATH",
 * of v2 without controllers. *@controllers: what is between the colons; returns what is after them. */
static const char *find_own(const char *own, const char *options, bool is_v2,
                            const char **controllers, size_t *n_controllers)
{
	for (const char *line = own; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		const char *first = strchr(line, ':');
		const char *second = first ? strchr(first + 1, ':') : NULL;

		if (!second || second > line + strcspn(line, "\n"))
			continue;
		*controllers = first + 1;
		*n_controllers = (size_t)(second - first - 1);
		if (is_v2 ? *n_controllers == 0
		          : *n_controllers && has_word(options, ",\n", *controllers,
		                                       strcspn(*controllers, ",:")))
			return second + 1;
	}
	return NULL;
}

/* What is mounted may be a part of the hierarchy: @root, @root_len. A path that is not below it (in
 * another cgroup namespace) means its top. */
static char *home_of(const char *dir, size_t dir_len, const char *root, size_t root_len,
                     const char *path)
{
	size_t len = strcspn(path, "\n");

	if (root_len > 1 && len >= root_len && memcmp(path, root, root_len) == 0) {
		path += root_len;
		len -= root_len;
	} else if (root_len > 1) {
		len = 0;
	}
	if (len >= 3 && memcmp(path, "/..", 3) == 0)
		len = 0;
	if (len == 1)
		len = 0;
	return mem_printf("%.*s%.*s", (int)dir_len, dir, (int)len, path);
}

/* Mounted once more: no two hierarchies have the same controllers. */
static bool is_known(const struct cgroup_mounts *mounts, const struct cgroup_mount *mount)
{
	for (size_t i = 0; i < mounts->n; i++)
		if (strcmp(mounts->list[i].controllers, mount->controllers) == 0)
			return true;
	return false;
}

static void mount_fini(struct cgroup_mount *mount)
{
	free(mount->dir);
	free(mount->home);
	free(mount->controllers);
}

static void add(struct cgroup_mounts *mounts, const char *line, const char *type, const char *own)
{
	const char *fields[N_FIELDS + 1] = { line };
	bool is_v2 = strncmp(type, "cgroup2 ", 8) == 0;
	const char *options = strchr(type, ' ');
	const char *controllers, *path;
	size_t n_controllers;
	struct cgroup_mount mount;
	size_t dir_len;

	for (size_t i = 1; i <= N_FIELDS; i++) {
		fields[i] = strchr(fields[i - 1], ' ');
		if (!fields[i] || fields[i] > type)
			return;
		fields[i]++;
	}
	options = options ? strchr(options + 1, ' ') : NULL;
	if (!options)
		return;
	path = find_own(own, options + 1, is_v2, &controllers, &n_controllers);
	if (!path)
		return;
	dir_len = (size_t)(fields[N_FIELDS] - 1 - fields[FIELD_DIR]);
	mount = (struct cgroup_mount){
		.dir = mem_printf("%.*s", (int)dir_len, fields[FIELD_DIR]),
		.home = home_of(fields[FIELD_DIR], dir_len, fields[FIELD_ROOT],
		                (size_t)(fields[FIELD_DIR] - 1 - fields[FIELD_ROOT]), path),
		.controllers = mem_printf("%.*s", (int)n_controllers, controllers),
		.is_v2 = is_v2,
	};
	if (is_known(mounts, &mount)) {
		mount_fini(&mount);
		return;
	}
	mounts->list = mem_realloc(mounts->list, (mounts->n + 1) * sizeof(*mounts->list));
	mounts->list[mounts->n++] = mount;
}

static void add_line(struct cgroup_mounts *mounts, const char *line, const char *own)
{
	const char *type = strstr(line, " - cgroup");

	if (type && (type[9] == ' ' || strncmp(type + 9, "2 ", 2) == 0))
		add(mounts, line, type + 3, own);
}

void cgroup_mounts_parse(const char *mountinfo, const char *own, struct cgroup_mounts *out)
{
	autofree char *text = mem_strdup(mountinfo);
	char *rest = text;

	*out = (struct cgroup_mounts){ 0 };
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n"))
		add_line(out, line, own);
}

/* The names of its controllers, separated by blanks; to be free()d. */
static char *v2_controllers(const struct cgroup_mount *mount)
{
	autofree char *path = mem_printf("%s/" CONTROLLERS_FILE, mount->dir);
	char *text = NULL;

	return file_read(AT_FDCWD, path, CONTROLLERS_MAX, &text, NULL) < 0 ? mem_strdup("") : text;
}

static bool v2_has(const struct cgroup_mount *mount, const char *controller)
{
	autofree char *text = v2_controllers(mount);

	return has_word(text, " \n", controller, strlen(controller));
}

/* Of what is used here. */
static bool v2_is_empty(const struct cgroup_mount *mount)
{
	static const char *const used[] = { "cpu", "cpuset", "io", "memory", "pids" };

	for (size_t i = 0; i < sizeof(used) / sizeof(used[0]); i++)
		if (v2_has(mount, used[i]))
			return false;
	return true;
}

void cgroup_mounts_drop(struct cgroup_mounts *mounts, size_t index)
{
	mount_fini(&mounts->list[index]);
	memmove(&mounts->list[index], &mounts->list[index + 1],
	        (mounts->n - index - 1) * sizeof(*mounts->list));
	mounts->n--;
}

/* A process that enters a cgroup of v2 waits until no other forks: milliseconds. Beside hierarchies of
 * v1 it often has no controller of use, and nothing is to be had there. */
static void drop_empty_v2(struct cgroup_mounts *mounts)
{
	for (size_t i = 0; i < mounts->n && mounts->n > 1; i++) {
		if (!mounts->list[i].is_v2 || !v2_is_empty(&mounts->list[i]))
			continue;
		cgroup_mounts_drop(mounts, i);
		return;
	}
}

int cgroup_mounts_read(struct cgroup_mounts *out, struct error *err)
{
	FILE *file = fopen(MOUNTS_FILE, "re");
	autofree char *own = NULL;
	autofree char *line = NULL;
	size_t size = 0;

	*out = (struct cgroup_mounts){ 0 };
	if (!file)
		return error_errno(err, "cannot open \"" MOUNTS_FILE "\"");
	if (file_read(AT_FDCWD, OWN_FILE, OWN_MAX, &own, err) < 0) {
		fclose(file);
		return error_code_errno(err->code);
	}
	while (getline(&line, &size, file) > 0)
		add_line(out, line, own);
	fclose(file);
	drop_empty_v2(out);
	return 0;
}

void cgroup_mounts_fini(struct cgroup_mounts *mounts)
{
	for (size_t i = 0; i < mounts->n; i++)
		mount_fini(&mounts->list[i]);
	free(mounts->list);
	*mounts = (struct cgroup_mounts){ 0 };
}

const struct cgroup_mount *cgroup_mounts_with(const struct cgroup_mounts *mounts,
                                              const char *controller)
{
	for (size_t i = 0; i < mounts->n; i++)
		if (has_word(mounts->list[i].controllers, ",", controller, strlen(controller)))
			return &mounts->list[i];
	for (size_t i = 0; i < mounts->n; i++)
		if (mounts->list[i].is_v2 && v2_has(&mounts->list[i], controller))
			return &mounts->list[i];
	return NULL;
}
