#include "shim/host/host_cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "common/file.h"
#include "common/mem.h"
#include "shim/host/cgroup_dir.h"
#include "shim/host/cgroup_mounts.h"
#include "shim/host/cgroup_path.h"

#define RECORD_FILE "cgroups" /* "HOME\tDIRECTORY\n" for each hierarchy */
#define RECORD_MAX  65536
#define REMOVE_MS   2000

struct host_cgroup {
	char *pod_dir;
	struct cgroup_path path;
	bool is_wanted;
	struct cgroup_mounts mounts;
};

struct host_cgroup *host_cgroup_create(const struct host_cgroup_config *config)
{
	struct host_cgroup *cgroup = mem_new(struct host_cgroup);

	cgroup->pod_dir = mem_strdup(config->pod_dir);
	cgroup->is_wanted = cgroup_path_parse(config->path, &cgroup->path);
	return cgroup;
}

void host_cgroup_destroy(struct host_cgroup *cgroup)
{
	if (!cgroup)
		return;
	cgroup_mounts_fini(&cgroup->mounts);
	cgroup_path_fini(&cgroup->path);
	free(cgroup->pod_dir);
	free(cgroup);
}

static int write_record(const struct host_cgroup *cgroup, struct error *err)
{
	autofree char *path = mem_printf("%s/" RECORD_FILE, cgroup->pod_dir);
	autofree char *text = mem_strdup("");

	for (size_t i = 0; i < cgroup->mounts.n; i++) {
		const struct cgroup_mount *mount = &cgroup->mounts.list[i];
		char *more =
			mem_printf("%s%s\t%s%s\n", text, mount->home, mount->dir, cgroup->path.dir);

		free(text);
		text = more;
	}
	return file_write(AT_FDCWD, path, 0600, text, strlen(text), err);
}

static int enter_one(const struct host_cgroup *cgroup, const struct cgroup_mount *mount,
                     struct error *err)
{
	autofree char *dir = mem_printf("%s%s", mount->dir, cgroup->path.dir);
	int r = cgroup_dir_make(mount, cgroup->path.dir, err);

	return r < 0 ? r : cgroup_dir_enter(dir, err);
}

int host_cgroup_enter(struct host_cgroup *cgroup, struct error *err)
{
	struct error one;
	int result, r;

	if (!cgroup->is_wanted)
		return 0;
	result = cgroup_mounts_read(&cgroup->mounts, err);
	if (result == 0 && cgroup->mounts.n == 0)
		result = error_set(err, ERROR_NOT_FOUND, "no cgroup hierarchy is mounted");
	if (result == 0)
		result = write_record(cgroup, err);
	if (result < 0)
		return result;
	for (size_t i = 0; i < cgroup->mounts.n; i++) {
		r = enter_one(cgroup, &cgroup->mounts.list[i], &one);
		if (r < 0 && result == 0) {
			result = r;
			error_copy(err, &one);
		}
	}
	return result;
}

char *host_cgroup_dir(const struct host_cgroup *cgroup, const char *controller, bool *is_v2)
{
	const struct cgroup_mount *mount =
		cgroup ? cgroup_mounts_with(&cgroup->mounts, controller) : NULL;

	*is_v2 = mount && mount->is_v2;
	return mount ? mem_printf("%s%s", mount->dir, cgroup->path.dir) : NULL;
}

/* Only where this process is in @dir. */
static void go_home(const struct cgroup_mounts *now, const char *home, const char *dir)
{
	for (size_t i = 0; i < now->n; i++)
		if (strcmp(now->list[i].home, dir) == 0)
			cgroup_dir_enter(home, NULL);
}

int host_cgroup_remove(const char *pod_dir, struct error *err)
{
	autofree char *path = mem_printf("%s/" RECORD_FILE, pod_dir);
	autofree char *text = NULL;
	struct cgroup_mounts now;
	struct error one;
	int result = 0;
	char *rest;

	if (file_read(AT_FDCWD, path, RECORD_MAX, &text, NULL) < 0)
		return 0; /* nothing was made */
	cgroup_mounts_read(&now, NULL);
	rest = text;
	for (char *home = strsep(&rest, "\n"); home && *home; home = strsep(&rest, "\n")) {
		char *dir = strchr(home, '\t');
		int r;

		if (!dir)
			continue;
		*dir++ = '\0';
		go_home(&now, home, dir);
		r = cgroup_dir_remove(dir, home, REMOVE_MS, &one);
		if (r < 0 && result == 0) {
			result = r;
			error_copy(err, &one);
		}
	}
	cgroup_mounts_fini(&now);
	return result;
}
