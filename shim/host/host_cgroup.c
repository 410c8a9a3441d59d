#include "shim/host/host_cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "common/file.h"
#include "common/mem.h"
#include "shim/host/cgroup_dir.h"
#include "shim/host/cgroup_mounts.h"
#include "shim/host/cgroup_path.h"
#include "shim/host/systemd_scope.h"

#define RECORD_FILE "cgroups" /* "HOME\tDIRECTORY\n" for each hierarchy */
#define RECORD_MAX  65536
#define OVERHEAD    "/kata_overhead"
#define REMOVE_MS   2000
#define SCOPE_MS    10000
#define VCPU        "CPU " /* how the names of QEMU's threads begin that run the guest */

struct host_cgroup {
	char *pod_dir;
	struct cgroup_path path;
	char *overhead; /* as path.dir; NULL: all are in that */
	bool is_wanted;
	struct cgroup_mounts mounts;
	struct systemd_scope *scope; /* while systemd makes it */
	done_fn *done;
	void *ctx;
};

struct host_cgroup *host_cgroup_create(const struct host_cgroup_config *config)
{
	struct host_cgroup *cgroup = mem_new(struct host_cgroup);

	cgroup->pod_dir = mem_strdup(config->pod_dir);
	cgroup->is_wanted = cgroup_path_parse(config->path, &cgroup->path);
	if (!config->sandbox_only && !cgroup->path.unit)
		cgroup->overhead = mem_printf(OVERHEAD "/%s", config->id);
	return cgroup;
}

void host_cgroup_destroy(struct host_cgroup *cgroup)
{
	if (!cgroup)
		return;
	systemd_scope_destroy(cgroup->scope);
	cgroup_mounts_fini(&cgroup->mounts);
	cgroup_path_fini(&cgroup->path);
	free(cgroup->overhead);
	free(cgroup->pod_dir);
	free(cgroup);
}

static char *add_to_record(char *text, const struct cgroup_mount *mount, const char *dir)
{
	char *more = mem_printf("%s%s\t%s%s\n", text, mount->home, mount->dir, dir);

	free(text);
	return more;
}

static int write_record(const struct host_cgroup *cgroup, struct error *err)
{
	autofree char *path = mem_printf("%s/" RECORD_FILE, cgroup->pod_dir);
	char *text = mem_strdup("");
	int r;

	for (size_t i = 0; i < cgroup->mounts.n; i++) {
		text = add_to_record(text, &cgroup->mounts.list[i], cgroup->path.dir);
		if (cgroup->overhead)
			text = add_to_record(text, &cgroup->mounts.list[i], cgroup->overhead);
	}
	r = file_write(AT_FDCWD, path, 0600, text, strlen(text), err);
	free(text);
	return r;
}

static int enter_one(const struct host_cgroup *cgroup, const struct cgroup_mount *mount,
                     struct error *err)
{
	const char *path = cgroup->overhead ? cgroup->overhead : cgroup->path.dir;
	autofree char *dir = mem_printf("%s%s", mount->dir, path);
	int r = cgroup_dir_make(mount, cgroup->path.dir, err);

	if (r == 0 && cgroup->overhead)
		r = cgroup_dir_make(mount, cgroup->overhead, err);
	return r < 0 ? r : cgroup_dir_enter(dir, err);
}

/* Where this process is now is where it goes back to. */
static int prepare(struct host_cgroup *cgroup, struct error *err)
{
	if (cgroup->mounts.n == 0)
		return error_set(err, ERROR_NOT_FOUND, "no cgroup hierarchy is mounted");
	return write_record(cgroup, err);
}

/* All that can be entered; a hierarchy that cannot has no figures and no limits from then on. */
static int enter_all(struct host_cgroup *cgroup, struct error *err)
{
	struct error one;
	int result = 0;

	for (size_t i = 0; i < cgroup->mounts.n;) {
		int r = enter_one(cgroup, &cgroup->mounts.list[i], &one);

		if (r == 0) {
			i++;
			continue;
		}
		if (result == 0)
			error_copy(err, &one);
		result = r;
		cgroup_mounts_drop(&cgroup->mounts, i);
	}
	return result;
}

int host_cgroup_enter_mounts(struct host_cgroup *cgroup, struct cgroup_mounts *mounts,
                             struct error *err)
{
	int r;

	cgroup->mounts = *mounts;
	*mounts = (struct cgroup_mounts){ 0 };
	r = prepare(cgroup, err);
	return r < 0 ? r : enter_all(cgroup, err);
}

static void on_scope(void *ctx, const struct error *err)
{
	struct host_cgroup *cgroup = ctx;
	struct error failed;
	int r;

	systemd_scope_destroy(take_ptr(&cgroup->scope));
	r = enter_all(cgroup, &failed);
	if (!err && r < 0)
		err = &failed;
	cgroup->done(cgroup->ctx, err);
}

/* Also where systemd does not run, or will not: then it is as any other directory. */
static void enter_scope(struct host_cgroup *cgroup, struct ev_loop *loop)
{
	const struct systemd_scope_config config = {
		.program = SYSTEMD_RUN,
		.slice = cgroup->path.slice,
		.unit = cgroup->path.unit,
		.dir = cgroup->path.dir,
		.mounts = &cgroup->mounts,
		.timeout_ms = SCOPE_MS,
	};
	struct error err;

	if (!systemd_runs())
		error_set(&err, ERROR_NOT_FOUND, "\"%s\" is of systemd, which does not run here",
		          cgroup->path.unit);
	else if (systemd_scope_start(loop, &config, on_scope, cgroup, &cgroup->scope, &err) == 0)
		return;
	on_scope(cgroup, &err);
}

void host_cgroup_enter(struct host_cgroup *cgroup, struct ev_loop *loop, done_fn *done, void *ctx)
{
	struct error err;
	int r;

	if (!cgroup->is_wanted) {
		done(ctx, NULL);
		return;
	}
	r = cgroup_mounts_read(&cgroup->mounts, &err);
	if (r == 0)
		r = prepare(cgroup, &err);
	if (r == 0 && cgroup->path.unit) {
		cgroup->done = done;
		cgroup->ctx = ctx;
		enter_scope(cgroup, loop);
		return;
	}
	if (r == 0)
		r = enter_all(cgroup, &err);
	done(ctx, r < 0 ? &err : NULL);
}

void host_cgroup_cancel(struct host_cgroup *cgroup)
{
	systemd_scope_destroy(take_ptr(&cgroup->scope));
}

/* A thread that has ended meanwhile is none. */
static int add_threads(const char *dir, pid_t pid, struct error *err)
{
	autofree char *path = mem_printf("/proc/%d/task", (int)pid);
	DIR *tasks = opendir(path);
	const struct dirent *entry;
	int r = 0;

	while (tasks && (entry = readdir(tasks)) && r == 0) {
		autofree char *name = mem_printf("%s/%s/comm", path, entry->d_name);
		autofree char *text = NULL;

		if (file_read(AT_FDCWD, name, NAME_MAX, &text, NULL) < 0 ||
		    strncmp(text, VCPU, strlen(VCPU)) != 0)
			continue;
		r = cgroup_dir_write(dir, "tasks", entry->d_name, err);
		if (r < 0 && err->code == ERROR_NOT_FOUND)
			r = 0;
	}
	if (tasks)
		closedir(tasks);
	return r;
}

int host_cgroup_add_vmm(const struct host_cgroup *cgroup, pid_t pid, struct error *err)
{
	autofree char *text = mem_printf("%d", (int)pid);
	int r = 0;

	if (!cgroup || !cgroup->overhead)
		return 0;
	for (size_t i = 0; i < cgroup->mounts.n && r == 0; i++) {
		const struct cgroup_mount *mount = &cgroup->mounts.list[i];
		autofree char *dir = mem_printf("%s%s", mount->dir, cgroup->path.dir);

		r = mount->is_v2 ? cgroup_dir_write(dir, "cgroup.procs", text, err)
		                 : add_threads(dir, pid, err);
	}
	return r;
}

char *host_cgroup_memory_dir(const struct host_cgroup *cgroup, bool *is_v2)
{
	const struct cgroup_mount *mount =
		cgroup ? cgroup_mounts_with(&cgroup->mounts, "memory") : NULL;

	*is_v2 = mount && mount->is_v2;
	if (!mount)
		return NULL;
	return mem_printf("%s%s", mount->dir,
	                  cgroup->overhead && !*is_v2 ? cgroup->overhead : cgroup->path.dir);
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
