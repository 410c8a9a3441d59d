#include "shim/spec/guest_paths.h"
#include "shim/storage/volumes.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include "common/error.h"
#include "common/mem.h"
#include "proto/features.h"
#include "proto/guest_dirs.h"
#include "shim/spec/guest_spec.h"
#include "shim/spec/spec.h"
#include "shim/storage/volume_identity.h"
#include "test/unit/shim/mount_fixture.h"

TestSuite(volumes, .init = fixture_setup, .fini = fixture_teardown);

static char place[64];

#define PROC "{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"}"

/* A spec whose mounts are @mounts. */
static Grpc__Spec *make_spec(const char *mounts)
{
	autofree char *text = mem_printf(
		"{\"ociVersion\":\"1.0.2\",\"process\":{\"args\":[\"sh\"],\"cwd\":\"/\"},"
		"\"root\":{\"path\":\"rootfs\"},\"mounts\":[%s],"
		"\"linux\":{\"namespaces\":[{\"type\":\"network\"}]}}",
		mounts);
	Grpc__Spec *spec = NULL;
	struct error err = { 0 };

	cr_assert_eq(spec_parse(text, strlen(text), &spec, &err), 0, "%s", err.text);
	return spec;
}

static struct volumes *take(Grpc__Spec *spec)
{
	struct volumes *volumes = NULL;
	struct error err = { 0 };

	cr_assert_eq(volumes_take(spec, "/bundle", NULL, &volumes, &err), 0, "%s", err.text);
	return volumes;
}

/* Binds @source with @options ("\"ro\",…") as mount 0 of the container "c<n>"; the outcome of
 * mounting. Where it is, is in @place. */
static struct error share_for(unsigned int n, const char *source, const char *options,
                              struct rootfs **out)
{
	autofree char *root = make_layer("root");
	autofree char *of_container = mem_printf("%s/share/c%u", top, n);
	autofree char *mounts =
		mem_printf("{\"destination\":\"/data\",\"type\":\"bind\",\"source\":\"%s\","
	                   "\"options\":[%s]}",
	                   source, options);
	autodestroy(spec) Grpc__Spec *spec = make_spec(mounts);
	struct rootfs_config config = {
		.dir = of_container,
		.path = root,
		.volumes = take(spec),
	};
	struct error err = mount_it(&config, out);

	if (err.code == ERROR_NONE) {
		volumes_name(rootfs_volumes(*out), 0, spec);
		snprintf(place, sizeof(place), "%s/share%s", top,
		         spec->mounts[0]->source + strlen(GUEST_SHARE));
	}
	return err;
}

static struct rootfs *share_well_for(unsigned int n, const char *source, const char *options)
{
	struct rootfs *rootfs = NULL;
	struct error err = share_for(n, source, options, &rootfs);

	cr_assert_eq(err.code, ERROR_NONE, "%s", err.text);
	return rootfs;
}

static struct rootfs *share_well(const char *source, const char *options)
{
	return share_well_for(1, source, options);
}

/* What is at @place, or below it. */
static char *shared(const char *below)
{
	return mem_printf("%s%s%s", place, *below ? "/" : "", below);
}

static bool is_shared(const char *below)
{
	autofree char *path = shared(below);

	return access(path, F_OK) == 0;
}

static void expect_write(const char *below, int expected)
{
	autofree char *path = shared(below);
	int fd = open(path, O_CREAT | O_WRONLY, 0600);

	cr_expect_eq(fd < 0 ? errno : 0, expected, "%s", path);
	if (fd >= 0)
		close(fd);
}

Test(volumes, take_the_binds_of_a_spec_over)
{
	autodestroy(spec) Grpc__Spec *spec =
		make_spec(PROC ",{\"destination\":\"/a\",\"type\":\"bind\",\"source\":\"/srv/a\","
	                       "\"options\":[\"rbind\",\"ro\"]}," PROC
	                       ",{\"destination\":\"/b\",\"source\":\"b\",\"options\":[\"bind\"]}");
	autodestroy(volumes) struct volumes *volumes = take(spec);
	struct error err = { 0 };

	cr_assert_not_null(volumes);
	cr_expect_str_eq(spec->mounts[0]->source, "proc");
	cr_expect_str_eq(spec->mounts[1]->source, GUEST_VOLUMES "/");
	cr_expect_eq(spec->mounts[1]->n_options, 2);
	cr_expect_str_eq(spec->mounts[3]->source, GUEST_VOLUMES "/");
	cr_expect_eq(guest_spec_apply(spec, "c1", NULL, &err), 0, "%s", err.text);
}

Test(volumes, are_none_where_nothing_is_bound)
{
	autodestroy(spec) Grpc__Spec *spec = make_spec(PROC);

	autodestroy(volumes) struct volumes *volumes = take(spec);

	volumes_name(volumes, 0, spec);
	cr_expect_str_eq(spec->mounts[0]->source, "proc");
}

Test(volumes, refuse_what_would_have_to_reach_the_host)
{
	autodestroy(spec) Grpc__Spec *spec =
		make_spec(PROC ",{\"destination\":\"/a\",\"type\":\"bind\",\"source\":\"/srv/a\","
	                       "\"options\":[\"rbind\",\"rshared\"]}");
	struct volumes *volumes = NULL;
	struct error err = { 0 };

	cr_expect_eq(volumes_take(spec, "/bundle", NULL, &volumes, &err), -ENOSYS);
	cr_expect_str_eq(err.text,
	                 "mounts[1] \"/a\": option \"rshared\": not supported; mounts made "
	                 "in the guest do not reach the host");
	cr_expect_null(volumes);
}

Test(volumes, share_a_directory_and_nothing_beside_it)
{
	autofree char *source = make_layer("data");
	autofree char *secret = mem_printf("%s/secret", top);
	struct rootfs *rootfs;

	write_text(secret, "");
	rootfs = share_well(source, "\"rbind\",\"rw\"");
	cr_expect(is_shared("only-data"));
	cr_expect(!is_shared("../secret"));
	expect_no_power(strrchr(place, '.'));
	expect_write("new", 0);
	unmount_it(rootfs);
	cr_expect_eq(access(source, F_OK), 0);
}

Test(volumes, share_a_file_alone)
{
	autofree char *source = make_layer("data");
	autofree char *file = mem_printf("%s/only-data", source);
	struct rootfs *rootfs = share_well(file, "\"bind\"");
	struct stat st;

	cr_assert_eq(stat(place, &st), 0);
	cr_expect(S_ISREG(st.st_mode));
	cr_expect_eq(st.st_size, 4);
	expect_write("", 0);
	unmount_it(rootfs);
	cr_expect_eq(access(file, F_OK), 0);
}

static bool is_file(const char *name)
{
	autofree char *path = mem_printf("%s/rootfs/%s", dir, name);
	struct stat st;

	return lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0 &&
	       (st.st_mode & 07777) == 0755;
}

#define BIND(source, destination)                                                                  \
	"{\"destination\":\"" destination "\",\"type\":\"bind\",\"source\":\"" source "\"}"

/* A container of these mounts, on a root with /etc, /dev, and /link to /etc. */
static struct rootfs *mount_on_root(const char *mounts)
{
	autofree char *root = make_layer("root");
	autofree char *etc = mem_printf("%s/etc", root);
	autofree char *link = mem_printf("%s/link", root);
	autofree char *dev = mem_printf("%s/dev", root);
	autodestroy(spec) Grpc__Spec *spec = make_spec(mounts);
	struct rootfs_config config = { .dir = dir, .path = root, .volumes = take(spec) };
	struct rootfs *rootfs = NULL;
	struct error err;

	cr_assert(!mkdir(etc, 0755) && !mkdir(dev, 0755) && !symlink("/etc", link));
	err = mount_it(&config, &rootfs);
	cr_assert_eq(err.code, ERROR_NONE, "%s", err.text);
	return rootfs;
}

/* Where nothing covers it, no link leads to it, and its directory is there. */
Test(volumes, that_are_files_get_their_mount_points)
{
	struct rootfs *rootfs = mount_on_root(
		BIND("/etc/passwd", "/etc/new") "," BIND("/etc/passwd", "/link/linked") "," BIND(
			"/etc/passwd",
			"/dev/hidden") "," BIND("/etc/passwd",
	                                        "/no/dir") "," BIND("/tmp",
	                                                            "/etc/directory") "," BIND("/tm"
	                                                                                       "p",
	                                                                                       "/de"
	                                                                                       "v"));

	cr_expect(is_file("etc/new"));
	cr_expect_not(is_file("etc/linked"));
	cr_expect_not(is_file("dev/hidden"));
	cr_expect_not(is_file("etc/directory"));
	unmount_it(rootfs);
}

Test(volumes, whose_paths_wind_get_no_mount_points)
{
	struct rootfs *rootfs =
		mount_on_root(BIND("/etc/passwd", "/etc/new") "," BIND("/tmp", "/dev/../etc"));

	cr_expect_not(is_file("etc/new"));
	unmount_it(rootfs);
}

Test(volumes, are_read_only_on_the_host_when_they_are_for_the_container)
{
	autofree char *source = make_layer("data");
	autofree char *file = mem_printf("%s/only-data", source);
	autofree char *below = mem_printf("%s/below", source);
	struct rootfs *rootfs = share_well(file, "\"bind\",\"ro\"");

	expect_write("", EROFS);
	unmount_it(rootfs);

	cr_assert_eq(mkdir(below, 0755), 0);
	cr_assert_eq(mount("below", below, "tmpfs", 0, NULL), 0);
	rootfs = share_well(source, "\"rbind\",\"ro\"");
	expect_write("new", EROFS);
	expect_write("below/new", EROFS);
	unmount_it(rootfs);
	rootfs = share_well(source, "\"rbind\",\"rro\"");
	expect_write("new", EROFS);
	expect_write("below/new", EROFS);
	unmount_it(rootfs);
	rootfs = share_well(source, "\"rbind\",\"ro\",\"rw\"");
	expect_write("new", 0);
	unmount_it(rootfs);
	cr_expect_eq(umount(below), 0);
}

Test(volumes, have_what_is_mounted_below_only_when_recursive)
{
	autofree char *source = make_layer("data");
	autofree char *below = mem_printf("%s/below", source);
	autofree char *deep = mem_printf("%s/deep", below);
	struct rootfs *rootfs;

	cr_assert_eq(mkdir(below, 0755), 0);
	cr_assert_eq(mount("below", below, "tmpfs", 0, NULL), 0);
	write_text(deep, "");
	rootfs = share_well(source, "\"rbind\"");
	cr_expect(is_shared("below/deep"));
	unmount_it(rootfs);
	rootfs = share_well(source, "\"bind\"");
	cr_expect(is_shared("below"));
	cr_expect(!is_shared("below/deep"));
	unmount_it(rootfs);
}

Test(volumes, see_later_mounts_of_the_host_only_as_slaves)
{
	static const struct {
		const char *options;
		bool follows;
	} rows[] = {
		{ "\"rbind\"", false },
		{ "\"rbind\",\"rprivate\"", false },
		{ "\"rbind\",\"rslave\"", true },
	};
	autofree char *source = make_layer("data");
	autofree char *below = mem_printf("%s/below", source);
	autofree char *deep = mem_printf("%s/deep", below);

	cr_assert_eq(mount("data", source, "tmpfs", 0, NULL), 0);
	cr_assert_eq(mount(NULL, source, NULL, MS_SHARED, NULL), 0);
	cr_assert_eq(mkdir(below, 0755), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rootfs *rootfs = share_well(source, rows[i].options);

		cr_assert_eq(mount("below", below, "tmpfs", 0, NULL), 0);
		write_text(deep, "");
		cr_expect_eq(is_shared("below/deep"), rows[i].follows, "%s", rows[i].options);
		cr_assert_eq(umount2(below, MNT_DETACH), 0);
		unmount_it(rootfs);
	}
}

Test(volumes, follow_a_link_as_the_host_does)
{
	autofree char *source = make_layer("data");
	autofree char *link = mem_printf("%s/link", top);
	struct rootfs *rootfs;

	cr_assert_eq(symlink("data", link), 0);
	rootfs = share_well(link, "\"rbind\"");
	cr_expect(is_shared("only-data"));
	unmount_it(rootfs);
}

static void expect_failure(const char *source, const char *cause)
{
	autofree char *text = mem_printf(
		"cannot mount the container's file systems: mounts[0] \"/data\": %s", cause);
	struct rootfs *rootfs = NULL;
	struct error err = share_for(1, source, "\"rbind\"", &rootfs);

	cr_expect_str_eq(err.text, text);
	cr_expect_neq(access(dir, F_OK), 0);
	rootfs_destroy(rootfs);
}

Test(volumes, name_what_cannot_be_shared_and_leave_nothing)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_STREAM, 0);
	autofree char *cause = NULL, *memory = mem_printf("%s/mem", top);
	autofree char *of_memory =
		mem_printf("bind of \"%s\", neither a file nor a directory: not supported", memory);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", top);
	cr_assert_eq(bind(sock, (struct sockaddr *)&address, sizeof(address)), 0);
	cause = mem_printf("bind of \"%s\", neither a file nor a directory: not supported",
	                   address.sun_path);
	expect_failure(address.sun_path, cause);
	cr_assert_eq(mknod(memory, S_IFCHR | 0600, makedev(1, 1)), 0);
	expect_failure(memory, of_memory);
	expect_failure("/nosuch", "cannot bind \"/nosuch\": No such file or directory");
	close(sock);
}

/* Options of two containers, and whether they share a mount. */
static const struct {
	const char *first, *second;
	bool is_shared;
} pairs[] = {
	{ "\"rbind\"", "\"rbind\",\"rprivate\"", true },
	{ "\"rbind\",\"ro\"", "\"rbind\",\"rro\"", true },
	{ "\"rbind\"", "\"rbind\",\"ro\"", true }, /* the pod can write there anyway */
	{ "\"rbind\",\"ro\"", "\"rbind\"", false },
	{ "\"rbind\"", "\"bind\"", false },
	{ "\"rbind\"", "\"rbind\",\"rslave\"", false },
};

Test(volumes, of_two_containers_that_bind_the_same_are_one)
{
	autofree char *source = make_layer("data");

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		struct rootfs *first = share_well_for(1, source, pairs[i].first), *second;
		autofree char *of_first = mem_strdup(place);

		second = share_well_for(2, source, pairs[i].second);
		cr_expect_eq(!strcmp(place, of_first), pairs[i].is_shared, "%s, %s", pairs[i].first,
		             pairs[i].second);
		unmount_it(first);
		cr_expect(is_shared("only-data"), "it is the second's, too");
		cr_expect_eq(access(of_first, F_OK) == 0, pairs[i].is_shared);
		unmount_it(second);
		cr_expect(!is_shared("."));
	}
}

Test(volumes, of_one_container_are_one_where_they_bind_the_same)
{
	autofree char *source = make_layer("data");
	autofree char *one =
		mem_printf("{\"destination\":\"/a\",\"type\":\"bind\",\"source\":\"%s\"}", source);
	autofree char *both = mem_printf("%s,%s", one, one);
	autodestroy(spec) Grpc__Spec *spec = make_spec(both);
	struct rootfs_config config = { .path = source, .volumes = take(spec) };
	struct rootfs *rootfs = NULL;

	cr_assert_eq(mount_it(&config, &rootfs).code, ERROR_NONE);
	volumes_name(rootfs_volumes(rootfs), 0, spec);
	cr_expect_str_eq(spec->mounts[0]->source, spec->mounts[1]->source);
	unmount_it(rootfs);
}

Test(volumes, are_other_ones_when_something_was_mounted_below)
{
	autofree char *source = make_layer("data");
	autofree char *below = mem_printf("%s/below", source);
	autofree char *deep = NULL;
	struct rootfs *first, *second;

	cr_assert_eq(mkdir(below, 0755), 0);
	first = share_well_for(1, source, "\"rbind\"");
	cr_assert_eq(mount("below", below, "tmpfs", 0, NULL), 0);
	deep = mem_printf("%s/deep", below);
	write_text(deep, "");
	second = share_well_for(2, source, "\"rbind\"");
	cr_expect(is_shared("below/deep"));
	unmount_it(first);
	unmount_it(second);
	cr_expect_eq(umount(below), 0);
}

Test(volumes, are_of_what_is_at_the_path_now)
{
	autofree char *source = make_layer("data");
	autofree char *moved = mem_printf("%s/moved", top);
	struct rootfs *first = share_well_for(1, source, "\"rbind\""), *second;
	autofree char *of_first = mem_strdup(place);
	autofree char *again = NULL;

	cr_assert_eq(rename(source, moved), 0);
	again = make_layer("data");
	second = share_well_for(2, again, "\"rbind\"");
	cr_expect_str_neq(place, of_first);
	unmount_it(first);
	unmount_it(second);
}

/* The container that is being made may bind it. */
Test(volumes, that_are_left_while_another_mounts_go_when_it_has)
{
	autofree char *source = make_layer("data"), *other = make_layer("other");
	struct rootfs *first = share_well_for(1, source, "\"rbind\""), *second = NULL;
	autofree char *of_first = mem_strdup(place), *of_second = mem_printf("%s/share/c2", top);
	autofree char *mount =
		mem_printf("{\"destination\":\"/a\",\"type\":\"bind\",\"source\":\"%s\"}", other);
	autodestroy(spec) Grpc__Spec *spec = make_spec(mount);
	const struct rootfs_config config = {
		.dir = of_second,
		.path = source,
		.volumes = take(spec),
		.volume_table = table,
		.timeout_ms = TIMEOUT_MS,
	};
	struct outcome unmounted = { 0 }, mounted = { 0 };
	struct error err = { 0 };

	cr_assert_eq(rootfs_mount(loop, &config, keep, &mounted, &second, &err), 0, "%s", err.text);
	cr_assert_eq(rootfs_unmount(first, TIMEOUT_MS, keep, &unmounted, &err), 0, "%s", err.text);
	ev_run(loop, 0);
	cr_expect(mounted.calls == 1 && !mounted.err.code, "%s", mounted.err.text);
	cr_expect(unmounted.calls == 1 && !unmounted.err.code, "%s", unmounted.err.text);
	cr_expect_neq(access(of_first, F_OK), 0);
	rootfs_destroy(first);
	unmount_it(second);
}

Test(volumes, that_two_mount_at_once_serve_all_who_come_later)
{
	static const struct volume_identity same = { .device = 1, .inode = 2, .mount = 3 };
	uint64_t first = volume_table_begin(table, 1), second = volume_table_begin(table, 1);
	autofree uint64_t *unused = NULL;

	cr_expect_eq(volume_table_use(table, &same, first), first);
	volume_table_end(table);
	cr_expect_eq(volume_table_use(table, &same, second), first, "the other is superfluous");
	cr_expect_eq(volume_table_take_unused(table, &unused), 0, "a child is at work");
	volume_table_end(table);
	cr_assert_eq(volume_table_take_unused(table, &unused), 1);
	cr_expect_eq(unused[0], second);
	volume_table_leave(table, first);
	volume_table_leave(table, first);
	free(take_ptr(&unused));
	cr_assert_eq(volume_table_take_unused(table, &unused), 1);
	cr_expect_eq(unused[0], first);
}

/* A directory and a file are bound; only where somebody can write containers can meet. */
Test(volumes, that_containers_can_meet_in_are_storages_of_the_guest)
{
	static const struct {
		const char *options;
		size_t n;
	} rows[] = { { "\"rbind\"", 1 }, { "\"rbind\",\"ro\"", 0 } };
	autofree char *source = make_layer("data");

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		autofree char *mounts = mem_printf(
			"{\"destination\":\"/a\",\"source\":\"%s\",\"options\":[%s]},"
			"{\"destination\":\"/b\",\"source\":\"%s/only-data\",\"options\":[%s]}",
			source, rows[i].options, source, rows[i].options);
		autodestroy(spec) Grpc__Spec *spec = make_spec(mounts);
		struct rootfs_config config = { .path = source, .volumes = take(spec) };
		struct rootfs *rootfs = NULL;
		Grpc__Storage **storages;

		cr_assert_eq(mount_it(&config, &rootfs).code, ERROR_NONE);
		volumes_name(rootfs_volumes(rootfs), FEATURE_BIND_STORAGES, spec);
		cr_assert_eq(volumes_storages(rootfs_volumes(rootfs), &storages), rows[i].n);
		if (rows[i].n) {
			cr_expect_str_eq(storages[0]->source, GUEST_VOLUMES "/0");
			cr_expect_str_eq(storages[0]->mount_point, GUEST_BINDS "/0");
			cr_expect_str_eq(spec->mounts[0]->source, GUEST_BINDS "/0");
		}
		cr_expect_str_eq(spec->mounts[1]->source,
		                 rows[i].n ? GUEST_VOLUMES "/1" : GUEST_VOLUMES "/3");
		unmount_it(rootfs);
	}
}

/* A kubelet's volume in memory, with a blank in its path, and what it binds for a subPath. */
struct empty_dir {
	char *top, *sub_path;
};

static struct empty_dir make_empty_dir(const char *options)
{
	autofree char *pod = mem_printf("%s/pod x/volumes/kubernetes.io~empty-dir", top);
	autofree char *sub_paths = mem_printf("%s/pod x/volume-subpaths/cache/main", top);
	struct empty_dir made = {
		.top = mem_printf("%s/cache", pod),
		.sub_path = mem_printf("%s/0", sub_paths),
	};
	autofree char *sub = mem_printf("%s/a/b", made.top);

	cr_assert_eq(file_make_dirs(made.top, 0755, NULL), 0);
	cr_assert_eq(mount("tmpfs", made.top, "tmpfs", 0, options), 0);
	cr_assert_eq(file_make_dirs(sub, 0755, NULL), 0);
	cr_assert_eq(file_make_dirs(made.sub_path, 0755, NULL), 0);
	cr_assert_eq(mount(sub, made.sub_path, NULL, MS_BIND, NULL), 0);
	return made;
}

static void remove_empty_dir(struct empty_dir *made)
{
	cr_expect_eq(umount(made->sub_path), 0);
	cr_expect_eq(umount(made->top), 0);
	free(made->top);
	free(made->sub_path);
}

/* Mounts @source and names it for an agent that has @features: the source in the guest. */
static char *name_in_guest(const char *source, unsigned int features, Grpc__Storage *out,
                           char options[256])
{
	autofree char *root = make_layer("root");
	autofree char *mounts =
		mem_printf("{\"destination\":\"/m\",\"type\":\"bind\",\"source\":\"%s\"}", source);
	autodestroy(spec) Grpc__Spec *spec = make_spec(mounts);
	struct rootfs_config config = { .path = root, .volumes = take(spec) };
	struct rootfs *rootfs = NULL;
	Grpc__Storage **storages;
	char *name;

	cr_assert_eq(mount_it(&config, &rootfs).code, ERROR_NONE);
	volumes_name(rootfs_volumes(rootfs), features, spec);
	*out = (Grpc__Storage){ 0 };
	*options = '\0';
	if (volumes_storages(rootfs_volumes(rootfs), &storages) > 0) {
		*out = *storages[0];
		for (size_t i = 0; i < out->n_options; i++)
			snprintf(options + strlen(options), 256 - strlen(options), "%s ",
			         out->options[i]);
	}
	name = mem_strdup(spec->mounts[0]->source);
	unmount_it(rootfs);
	return name;
}

#define BOTH (FEATURE_MEMORY_VOLUMES | FEATURE_BIND_STORAGES)

Test(volumes, in_memory_are_a_tmpfs_of_the_guest)
{
	struct empty_dir volume = make_empty_dir("size=1m,mode=2770,gid=77");
	autofree char *name = NULL, *expected = NULL;
	Grpc__Storage storage;
	char options[256];
	struct stat st;

	cr_assert_eq(stat(volume.top, &st), 0);
	expected = mem_printf(GUEST_EPHEMERAL "/%u", minor(st.st_dev));
	name = name_in_guest(volume.top, BOTH, &storage, options);
	cr_expect_str_eq(name, expected);
	cr_expect_str_eq(storage.driver, "ephemeral");
	cr_expect_str_eq(options, "mode=2770 uid=0 gid=77 size=1048576 ");
	remove_empty_dir(&volume);
}

Test(volumes, in_memory_without_a_size_have_half_of_the_guests_memory)
{
	struct empty_dir volume = make_empty_dir("size=0,mode=777");
	Grpc__Storage storage;
	char options[256];

	free(name_in_guest(volume.top, BOTH, &storage, options));
	cr_expect_str_eq(options, "mode=777 uid=0 gid=0 ");
	remove_empty_dir(&volume);
}

Test(volumes, in_memory_have_their_sub_paths_in_the_guest)
{
	struct empty_dir volume = make_empty_dir("size=1m");
	autofree char *of_top = NULL, *name = NULL, *expected = NULL;
	Grpc__Storage storage, same;
	char options[256];

	of_top = name_in_guest(volume.top, BOTH, &storage, options);
	expected = mem_printf("%s/a/b", of_top);
	name = name_in_guest(volume.sub_path, BOTH, &same, options);
	cr_expect_str_eq(name, expected);
	cr_expect_str_eq(same.driver, "ephemeral");
	remove_empty_dir(&volume);
}

Test(volumes, that_are_devices_are_the_guests)
{
	autofree char *node = mem_printf("%s/node", top), *name = NULL, *plain = NULL;
	Grpc__Storage storage;
	char options[256];

	cr_assert_eq(mknod(node, S_IFCHR | 0600, makedev(10, 229)), 0);
	cr_assert_eq(chown(node, 12, 34) + chmod(node, 0640), 0);
	name = name_in_guest(node, FEATURE_DEVICE_STORAGES, &storage, options);
	cr_expect_str_eq(storage.driver, "device");
	cr_expect_str_eq(options, "mode=640 uid=12 gid=34 ");
	cr_expect_eq(strncmp(name, GUEST_DEVICES "/", strlen(GUEST_DEVICES "/")), 0, "%s", name);
	cr_expect_str_eq(strrchr(name, '/'), "/" GUEST_DEVICE_NAME);
	plain = name_in_guest(node, BOTH, &storage, options);
	cr_expect_str_eq(plain, "/dev/fuse");
	cr_expect_null(storage.driver);
}

Test(volumes, of_huge_pages_are_the_guests)
{
	autofree char *volume = mem_printf("%s/volumes/kubernetes.io~empty-dir/huge", top);
	autofree char *name = NULL, *plain = NULL;
	Grpc__Storage storage;
	char options[256];

	cr_assert_eq(file_make_dirs(volume, 0755, NULL), 0);
	cr_assert_eq(mount("huge", volume, "hugetlbfs", 0, "pagesize=2M,mode=1770,gid=77"), 0);
	name = name_in_guest(volume, BOTH | FEATURE_HUGE_PAGES, &storage, options);
	cr_expect_eq(strncmp(name, GUEST_EPHEMERAL, strlen(GUEST_EPHEMERAL)), 0, "%s", name);
	cr_expect_str_eq(storage.driver, "ephemeral");
	cr_expect_str_eq(storage.fstype, "hugetlbfs");
	cr_expect_str_eq(options, "mode=1770 uid=0 gid=77 pagesize=2097152 ");
	plain = name_in_guest(volume, BOTH, &storage, options);
	cr_expect_null(strstr(plain, GUEST_EPHEMERAL));
	cr_expect_eq(umount(volume), 0);
}

/* Also what a kubelet keeps in a tmpfs of its own: a Secret's subPath is no such volume. */
Test(volumes, in_memory_are_binds_of_the_host_in_other_cases)
{
	struct empty_dir volume = make_empty_dir("size=1m");
	autofree char *secret = mem_printf("%s/volumes/kubernetes.io~secret/s", top);
	autofree char *sub_path = mem_printf("%s/volume-subpaths/s/main/0", top);
	autofree char *plain = mem_printf("%s/volumes/kubernetes.io~empty-dir/plain", top);
	const struct {
		const char *source;
		unsigned int features;
	} rows[] = {
		{ volume.top, FEATURE_BIND_STORAGES },
		{ volume.top, 0 },
		{ volume.sub_path, 0 },
		{ sub_path, BOTH },
		{ plain, BOTH },
	};
	Grpc__Storage storage;
	char options[256];

	cr_assert_eq(file_make_dirs(plain, 0755, NULL), 0);
	cr_assert_eq(file_make_dirs(secret, 0755, NULL), 0);
	cr_assert_eq(file_make_dirs(sub_path, 0755, NULL), 0);
	cr_assert_eq(mount("tmpfs", secret, "tmpfs", 0, NULL), 0);
	cr_assert_eq(mount(secret, sub_path, NULL, MS_BIND, NULL), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		autofree char *name =
			name_in_guest(rows[i].source, rows[i].features, &storage, options);

		cr_expect_null(strstr(name, GUEST_EPHEMERAL), "%s: %s", rows[i].source, name);
		cr_expect(!storage.driver || !strcmp(storage.driver, "bind"));
	}
	cr_expect_eq(umount(sub_path), 0);
	cr_expect_eq(umount(secret), 0);
	remove_empty_dir(&volume);
}

/* With what the child tells of each, for which there has to be room. */
Test(volumes, in_memory_may_be_among_as_many_as_a_container_has)
{
	struct empty_dir volume = make_empty_dir("size=1m");
	autofree char *data = make_layer("data");
	autofree char *mounts = mem_strdup("");
	struct rootfs *rootfs = NULL;
	struct rootfs_config config = { .path = data };
	struct error err;

	for (int i = 0; i < VOLUMES_MAX; i++) {
		char *longer = mem_printf("%s%s{\"destination\":\"/m%d\",\"type\":\"bind\","
		                          "\"source\":\"%s\"}",
		                          mounts, i ? "," : "", i, i < 64 ? volume.top : data);

		free(mounts);
		mounts = longer;
	}
	{
		autodestroy(spec) Grpc__Spec *spec = make_spec(mounts);

		config.volumes = take(spec);
		err = mount_it(&config, &rootfs);
		cr_expect_eq(err.code, ERROR_NONE, "%s", err.text);
		unmount_it(rootfs);
	}
	remove_empty_dir(&volume);
}
