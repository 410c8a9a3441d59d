#include "shim/host/host_cgroup.h"

#include <criterion/criterion.h>
#include <ev.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/file.h"
#include "common/mem.h"
#include "shim/host/cgroup_dir.h"
#include "shim/host/cgroup_limits.h"
#include "shim/host/cgroup_mounts.h"
#include "shim/host/cgroup_oom.h"
#include "shim/host/cgroup_path.h"
#include "shim/host/cgroup_usage.h"
#include "shim/host/systemd_scope.h"

static struct error err;
static char top[] = "/tmp/kata-host-cgroup.XXXXXX";

static void make_top(void)
{
	cr_assert_not_null(mkdtemp(top));
}

static void remove_top(void)
{
	cr_assert_eq(file_remove_tree(AT_FDCWD, top, &err), 0, "%s", err.text);
}

static void assert_path(const char *text, const char *dir, const char *slice, const char *unit)
{
	struct cgroup_path path;

	cr_assert_eq(cgroup_path_parse(text, &path), *dir != '\0', "%s", text);
	if (*dir)
		cr_assert_str_eq(path.dir, dir);
	if (slice) {
		cr_assert_str_eq(path.slice, slice);
		cr_assert_str_eq(path.unit, unit);
	} else {
		cr_assert_null(path.slice);
	}
	cgroup_path_fini(&path);
}

Test(host_cgroup, a_path_of_cgroupfs_has_our_name_last)
{
	assert_path("/default/web", "/default/kata_web", NULL, NULL);
	assert_path("/web", "/kata_web", NULL, NULL);
	assert_path("docker/web/", "/docker/kata_web", NULL, NULL);
	assert_path("/a/../../b/.//web", "/b/kata_web", NULL, NULL);
	assert_path("/a/b:c:d", "/a/kata_b:c:d", NULL, NULL);
	assert_path("", "", NULL, NULL);
	assert_path("/..", "", NULL, NULL);
}

Test(host_cgroup, a_path_of_systemd_is_a_scope_in_its_slices)
{
	assert_path("system.slice:docker:web", "/system.slice/docker-web.scope", "system.slice",
	            "docker-web.scope");
	assert_path("kubepods-burstable-pod1.slice:cri-containerd:web",
	            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/"
	            "cri-containerd-web.scope",
	            "kubepods-burstable-pod1.slice", "cri-containerd-web.scope");
	assert_path("-.slice::web", "/web.scope", "-.slice", "web.scope");
	assert_path("system:docker:web", "/kata_system:docker:web", NULL, NULL);
	assert_path("../a.slice:docker:web", "/kata_a.slice:docker:web", NULL, NULL);
}

#define MOUNT(dir, rest) "30 20 0:25 / " dir " rw,relatime shared:9 - " rest "\n"

static void assert_mount(const struct cgroup_mount *mount, const char *dir, const char *home,
                         bool is_v2)
{
	cr_assert_not_null(mount);
	cr_assert_str_eq(mount->dir, dir);
	cr_assert_str_eq(mount->home, home);
	cr_assert_eq(mount->is_v2, is_v2);
}

Test(host_cgroup, knows_the_hierarchies_of_a_hybrid_host)
{
	struct cgroup_mounts mounts;

	cgroup_mounts_parse(
		"20 1 8:1 / / rw - ext4 /dev/sda rw\n" MOUNT("/sys/fs/cgroup",
	                                                     "tmpfs tmpfs rw,mode=755")
			MOUNT("/sys/fs/cgroup/cpu,cpuacct", "cgroup cgroup rw,cpu,cpuacct")
				MOUNT("/sys/fs/cgroup/memory", "cgroup cgroup rw,memory")
					MOUNT("/elsewhere", "cgroup cgroup rw,memory") MOUNT(
						"/sys/fs/cgroup/rdma", "cgroup cgroup rw,rdma")
						MOUNT("/sys/fs/cgroup/systemd",
	                                              "cgroup cgroup rw,xattr,name=systemd")
							MOUNT("/sys/fs/cgroup/unified",
	                                                      "cgroup2 cgroup2 rw,nsdelegate"),
		"5:cpu,cpuacct:/system.slice/containerd.service\n4:memory:/\n"
		"1:name=systemd:/a\n0::/a\n",
		&mounts);
	cr_assert_eq(mounts.n, 4, "%zu", mounts.n);
	assert_mount(cgroup_mounts_with(&mounts, "cpuacct"), "/sys/fs/cgroup/cpu,cpuacct",
	             "/sys/fs/cgroup/cpu,cpuacct/system.slice/containerd.service", false);
	assert_mount(cgroup_mounts_with(&mounts, "memory"), "/sys/fs/cgroup/memory",
	             "/sys/fs/cgroup/memory", false);
	assert_mount(&mounts.list[3], "/sys/fs/cgroup/unified", "/sys/fs/cgroup/unified/a", true);
	cr_assert_null(cgroup_mounts_with(&mounts, "pids"));
	cgroup_mounts_fini(&mounts);
}

Test(host_cgroup, knows_where_it_is_in_a_part_of_a_hierarchy)
{
	struct cgroup_mounts mounts;

	cgroup_mounts_parse("30 20 0:25 /docker/1 /cg rw - cgroup2 cgroup2 rw\n",
	                    "0::/docker/1/x\n", &mounts);
	cr_assert_eq(mounts.n, 1);
	assert_mount(&mounts.list[0], "/cg", "/cg/x", true);
	cgroup_mounts_fini(&mounts);
	cgroup_mounts_parse(MOUNT("/cg", "cgroup2 cgroup2 rw"), "0::/../other\n", &mounts);
	cr_assert_eq(mounts.n, 1);
	assert_mount(&mounts.list[0], "/cg", "/cg", true);
	cgroup_mounts_fini(&mounts);
}

Test(host_cgroup, passes_over_lines_that_make_no_sense)
{
	struct cgroup_mounts mounts;

	cgroup_mounts_parse(" - cgroup2 \n - cgroup\n1 2 - cgroup2 a b\n\n- - - cgroup rw\n"
	                    "1 2 3 4 5 6 - cgroup cgroup\n",
	                    "\n:\n::\n0::\nnonsense", &mounts);
	cr_assert_eq(mounts.n, 0);
	cgroup_mounts_fini(&mounts);
}

static bool is_dir(const char *name)
{
	autofree char *path = mem_printf("%s%s", top, name);
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static void make_dir(const char *name)
{
	autofree char *path = mem_printf("%s%s", top, name);

	cr_assert_eq(mkdir(path, 0755), 0);
}

static void put(const char *name, const char *text)
{
	autofree char *path = mem_printf("%s%s", top, name);

	cr_assert_eq(file_write(AT_FDCWD, path, 0644, text, strlen(text), &err), 0, "%s", err.text);
}

static void assert_text(const char *name, const char *wanted)
{
	autofree char *path = mem_printf("%s%s", top, name);
	autofree char *text = NULL;

	cr_assert_geq(file_read(AT_FDCWD, path, 1000, &text, &err), 0, "%s", err.text);
	cr_assert_str_eq(text, wanted);
}

static void remove_dir(const char *name)
{
	autofree char *path = mem_printf("%s%s", top, name);

	cr_assert_eq(cgroup_dir_remove(path, top, 0, &err), 0, "%s", err.text);
}

Test(host_cgroup, parents_that_were_made_go_with_the_last_in_them, .init = make_top,
     .fini = remove_top)
{
	struct cgroup_mount mount = { .dir = top, .controllers = "memory" };

	make_dir("/kubelet");
	cr_assert_eq(cgroup_dir_make(&mount, "/kubelet/pod/a/kata_1", &err), 0, "%s", err.text);
	cr_assert_eq(cgroup_dir_make(&mount, "/kubelet/pod/b/kata_2", &err), 0, "%s", err.text);
	make_dir("/kubelet/pod/a/kata_1/nested");
	make_dir("/kubelet/pod/a/kata_1/nested/deeper");
	remove_dir("/kubelet/pod/a/kata_1");
	cr_assert(!is_dir("/kubelet/pod/a"));
	cr_assert(is_dir("/kubelet/pod/b/kata_2"));
	remove_dir("/kubelet/pod/b/kata_2");
	cr_assert(!is_dir("/kubelet/pod"));
	cr_assert(is_dir("/kubelet"));
	remove_dir("/kubelet/pod/b/kata_2");
}

Test(host_cgroup, controllers_of_v2_are_enabled_above_it, .init = make_top, .fini = remove_top)
{
	struct cgroup_mount mount = { .dir = top, .controllers = "", .is_v2 = true };

	make_dir("/a");
	make_dir("/a/kata_1");
	put("/cgroup.subtree_control", "");
	put("/a/cgroup.subtree_control", "");
	put("/a/kata_1/cgroup.subtree_control", "");
	cr_assert_eq(cgroup_dir_make(&mount, "/a/kata_1", &err), 0, "%s", err.text);
	assert_text("/cgroup.subtree_control", "+pidsry"); /* the last over "+memory" */
	assert_text("/a/cgroup.subtree_control", "+pidsry");
	assert_text("/a/kata_1/cgroup.subtree_control", "");
}

Test(host_cgroup, a_cpuset_of_v1_has_what_its_parent_has, .init = make_top, .fini = remove_top)
{
	struct cgroup_mount mount = { .dir = top, .controllers = "cpuset" };

	make_dir("/a");
	put("/cpuset.cpus", "0-3\n");
	put("/cpuset.mems", "0\n");
	put("/a/cpuset.cpus", "\n");
	put("/a/cpuset.mems", "1\n");
	cr_assert_eq(cgroup_dir_make(&mount, "/a", &err), 0, "%s", err.text);
	assert_text("/a/cpuset.cpus", "0-3\n");
	assert_text("/a/cpuset.mems", "1\n");
}

Test(host_cgroup, reads_numbers_by_their_word, .init = make_top, .fini = remove_top)
{
	uint64_t value = 7;

	put("/plain", "123\n");
	put("/max", "max\n");
	put("/words", "some_usage 1\nusage 42\n");
	cr_assert_eq(cgroup_dir_read(top, "plain", NULL, &value), 0);
	cr_assert_eq(value, 123);
	cr_assert_eq(cgroup_dir_read(top, "max", NULL, &value), 0);
	cr_assert_eq(value, UINT64_MAX);
	cr_assert_eq(cgroup_dir_read(top, "words", "usage", &value), 0);
	cr_assert_eq(value, 42);
	cr_assert_lt(cgroup_dir_read(top, "words", "none", &value), 0);
	cr_assert_lt(cgroup_dir_read(top, "missing", NULL, &value), 0);
	cr_assert_eq(value, 42);
}

Test(host_cgroup, shares_become_weights_of_v2)
{
	cr_assert_eq(cgroup_weight(0), 1);
	cr_assert_eq(cgroup_weight(2), 1);
	cr_assert_eq(cgroup_weight(1024), 39);
	cr_assert_eq(cgroup_weight(262144), 10000);
	cr_assert_eq(cgroup_weight(UINT64_MAX), 10000);
}

/* The pod's cgroup in a v2 of plain files, all of which are there. */
static struct host_cgroup *enter_v2(void)
{
	static const char *const files[] = { "cgroup.procs", "cpu.max",     "cpu.weight",
		                             "cpuset.cpus",  "cpuset.mems", "memory.max" };
	struct host_cgroup *cgroup = host_cgroup_create(&(struct host_cgroup_config){
		.path = "/a/1", .pod_dir = top, .id = "1", .sandbox_only = true });
	autofree char *mountinfo = mem_printf("30 20 0:25 / %s rw - cgroup2 cgroup2 rw\n", top);
	struct cgroup_mounts mounts;

	make_dir("/a");
	make_dir("/a/kata_1");
	put("/cgroup.controllers", "cpuset cpu io memory pids\n");
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		autofree char *name = mem_printf("/a/kata_1/%s", files[i]);

		put(name, "");
	}
	cgroup_mounts_parse(mountinfo, "0::/\n", &mounts);
	cr_assert_eq(host_cgroup_enter_mounts(cgroup, &mounts, &err), 0, "%s", err.text);
	return cgroup;
}

Test(host_cgroup, of_v2_has_limits_and_figures, .init = make_top, .fini = remove_top)
{
	autodestroy(host_cgroup) struct host_cgroup *cgroup = enter_v2();
	struct cgroup_usage usage;

	assert_text("/a/kata_1/cgroup.procs", "0");
	cr_assert_eq(cgroup_limits_write(cgroup, &(struct cgroup_limits){ 4096, 1500000 }, &err), 0,
	             "%s", err.text);
	assert_text("/a/kata_1/memory.max", "4096");
	assert_text("/a/kata_1/cpu.max", "150000 100000");
	cr_assert_eq(cgroup_share_write(cgroup, &(struct cgroup_share){ 1024, "0-1", "" }, &err),
	             0);
	assert_text("/a/kata_1/cpu.weight", "39");
	assert_text("/a/kata_1/cpuset.cpus", "0-1");
	assert_text("/a/kata_1/cpuset.mems", "");
	put("/a/kata_1/cpu.max", "");
	put("/a/kata_1/memory.max", "");
	cr_assert_eq(cgroup_limits_write(cgroup, &(struct cgroup_limits){ 0, 0 }, &err), 0);
	assert_text("/a/kata_1/memory.max", "max");
	assert_text("/a/kata_1/cpu.max", "max");
	put("/a/kata_1/cpu.stat", "usage_usec 5\nuser_usec 3\nsystem_usec 2\n");
	put("/a/kata_1/memory.current", "8192\n");
	put("/a/kata_1/memory.stat", "anon 7\nfile 6\ninactive_file 5\n");
	put("/a/kata_1/pids.current", "6\n");
	put("/a/kata_1/pids.max", "max\n");
	cgroup_usage_read(cgroup, &usage);
	cr_assert_eq(usage.cpu_ns, 5000);
	cr_assert_eq(usage.cpu_system_ns, 2000);
	cr_assert_eq(usage.memory, 8192);
	cr_assert_eq(usage.memory_limit, UINT64_MAX);
	cr_assert_eq(usage.pids, 6);
	cr_assert_eq(usage.pids_limit, 0);
	cr_assert_str_eq(usage.memory_stat[0].key, "anon");
	cr_assert_eq(usage.memory_stat[0].value, 7);
}

Test(host_cgroup, tells_whose_limit_a_process_was_killed_for, .init = make_top, .fini = remove_top)
{
	autodestroy(host_cgroup) struct host_cgroup *cgroup = enter_v2();
	autofree char *limited = mem_printf("\"%s/a\"", top);

	put("/a/kata_1/memory.max", "max\n");
	put("/a/kata_1/memory.events", "oom 0\noom_kill 0\n");
	cr_assert(!cgroup_oom_explain(cgroup, &err));
	put("/a/kata_1/memory.events", "oom 0\noom_kill 1\n");
	cr_assert(cgroup_oom_explain(cgroup, &err));
	cr_assert_not_null(strstr(err.text, "the host is out of memory"), "%s", err.text);
	put("/a/memory.max", "65536\n");
	cr_assert(cgroup_oom_explain(cgroup, &err));
	cr_assert_not_null(strstr(err.text, limited), "%s", err.text);
	cr_assert_not_null(strstr(err.text, "limit 65536 bytes"), "%s", err.text);
	cr_assert(!cgroup_oom_explain(NULL, &err));
}

static struct ev_loop *loop;
static bool has_failed;

static void on_scope(void *ctx, const struct error *failed)
{
	has_failed = failed;
	if (failed)
		error_copy(&err, failed);
	ev_break(loop, EVBREAK_ALL);
}

/* In a v2 of plain files, by a systemd-run that is @script. */
static void run_scope(const char *script)
{
	autofree char *program = mem_printf("%s/systemd-run", top);
	autofree char *mountinfo = mem_printf("30 20 0:25 / %s rw - cgroup2 cgroup2 rw\n", top);
	autodestroy(systemd_scope) struct systemd_scope *scope = NULL;
	struct cgroup_mounts mounts;
	const struct systemd_scope_config config = {
		.program = program,
		.slice = "a.slice",
		.unit = "b.scope",
		.dir = "/b.scope",
		.mounts = &mounts,
		.timeout_ms = 30000,
	};

	make_dir("/b.scope");
	put("/systemd-run", script);
	cr_assert_eq(chmod(program, 0755), 0);
	cgroup_mounts_parse(mountinfo, "0::/\n", &mounts);
	loop = ev_loop_new(EVFLAG_AUTO);
	cr_assert_eq(systemd_scope_start(loop, &config, on_scope, NULL, &scope, &err), 0, "%s",
	             err.text);
	cgroup_mounts_fini(&mounts);
	ev_run(loop, 0);
	systemd_scope_destroy(take_ptr(&scope));
	ev_loop_destroy(loop);
}

Test(host_cgroup, a_scope_of_systemd_gets_this_process, .init = make_top, .fini = remove_top)
{
	autofree char *pid = mem_printf("%d\n", (int)getpid());

	run_scope("#!/bin/sh\nwhile [ \"$1\" != -- ]; do shift; done\nshift\nexec \"$@\"\n");
	cr_assert(!has_failed, "%s", err.text);
	assert_text("/b.scope/cgroup.procs", pid);
}

Test(host_cgroup, a_scope_that_systemd_refuses_is_named, .init = make_top, .fini = remove_top)
{
	run_scope("#!/bin/sh\nexit 1\n");
	cr_assert(has_failed);
	cr_assert_not_null(strstr(err.text, "the scope \"b.scope\": systemd-run exited with"), "%s",
	                   err.text);
}

Test(host_cgroup, one_that_cannot_be_made_is_named_and_has_no_figures, .init = make_top,
     .fini = remove_top)
{
	autodestroy(host_cgroup) struct host_cgroup *cgroup = host_cgroup_create(
		&(struct host_cgroup_config){ .path = "/a/1", .pod_dir = top, .id = "1" });
	struct cgroup_mounts mounts;
	struct cgroup_usage usage;
	bool is_v2;

	cgroup_mounts_parse(MOUNT("/proc", "cgroup cgroup rw,memory"), "1:memory:/\n", &mounts);
	cr_assert_lt(host_cgroup_enter_mounts(cgroup, &mounts, &err), 0);
	cr_assert_not_null(strstr(err.text, "cannot make cgroup \"/proc/a/kata_1\""), "%s",
	                   err.text);
	cr_assert_null(host_cgroup_dir(cgroup, "memory", &is_v2));
	cgroup_usage_read(cgroup, &usage);
	cr_assert_eq(usage.memory, 0);
	cr_assert_eq(cgroup_limits_write(cgroup, &(struct cgroup_limits){ 4096, 0 }, &err), 0);
	cr_assert_eq(host_cgroup_remove(top, &err), 0, "%s", err.text);
}
