#include "shim/spec/guest_paths.h"
#include "shim/storage/volumes.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/error.h"
#include "common/mem.h"
#include "shim/spec/guest_spec.h"
#include "shim/spec/spec.h"
#include "test/unit/shim/mount_fixture.h"

TestSuite(volumes, .init = fixture_setup, .fini = fixture_teardown);

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

	cr_assert_eq(volumes_take(spec, "c1", "/bundle", NULL, &volumes, &err), 0, "%s", err.text);
	return volumes;
}

/* Binds @source with @options ("\"ro\",…") as mount 0; the outcome of mounting. */
static struct error share(const char *source, const char *options, struct rootfs **out)
{
	autofree char *root = make_layer("root");
	autofree char *mounts =
		mem_printf("{\"destination\":\"/data\",\"type\":\"bind\",\"source\":\"%s\","
	                   "\"options\":[%s]}",
	                   source, options);
	autodestroy(spec) Grpc__Spec *spec = make_spec(mounts);
	autodestroy(volumes) struct volumes *volumes = take(spec);
	struct rootfs_config config = { .path = root, .volumes = volumes };

	return mount_it(&config, out);
}

static struct rootfs *share_well(const char *source, const char *options)
{
	struct rootfs *rootfs = NULL;
	struct error err = share(source, options, &rootfs);

	cr_assert_eq(err.code, ERROR_NONE, "%s", err.text);
	return rootfs;
}

static void expect_write(const char *below, int expected)
{
	autofree char *path = mem_printf("%s/%s", dir, below);
	int fd = open(path, O_CREAT | O_WRONLY, 0600);

	cr_expect_eq(fd < 0 ? errno : 0, expected, "%s", below);
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
	cr_expect_str_eq(spec->mounts[1]->source, GUEST_SHARE "/c1/mounts/1");
	cr_expect_eq(spec->mounts[1]->n_options, 2);
	cr_expect_str_eq(spec->mounts[3]->source, GUEST_SHARE "/c1/mounts/3");
	cr_expect_eq(guest_spec_apply(spec, "c1", NULL, &err), 0, "%s", err.text);
}

Test(volumes, are_none_where_nothing_is_bound)
{
	autodestroy(spec) Grpc__Spec *spec = make_spec(PROC);

	cr_expect_null(take(spec));
}

Test(volumes, refuse_what_would_have_to_reach_the_host)
{
	autodestroy(spec) Grpc__Spec *spec =
		make_spec(PROC ",{\"destination\":\"/a\",\"type\":\"bind\",\"source\":\"/srv/a\","
	                       "\"options\":[\"rbind\",\"rshared\"]}");
	struct volumes *volumes = NULL;
	struct error err = { 0 };

	cr_expect_eq(volumes_take(spec, "c1", "/bundle", NULL, &volumes, &err), -ENOSYS);
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
	cr_expect(exists("mounts/0/only-data"));
	cr_expect(!exists("mounts/0/../secret"));
	expect_no_power("mounts/0");
	expect_write("mounts/0/new", 0);
	unmount_it(rootfs);
	cr_expect_eq(access(source, F_OK), 0);
}

Test(volumes, share_a_file_alone)
{
	autofree char *source = make_layer("data");
	autofree char *file = mem_printf("%s/only-data", source);
	struct rootfs *rootfs = share_well(file, "\"bind\"");
	autofree char *shared = mem_printf("%s/mounts/0", dir);
	struct stat st;

	cr_assert_eq(stat(shared, &st), 0);
	cr_expect(S_ISREG(st.st_mode));
	cr_expect_eq(st.st_size, 4);
	expect_write("mounts/0", 0);
	unmount_it(rootfs);
	cr_expect_eq(access(file, F_OK), 0);
}

Test(volumes, are_read_only_on_the_host_when_they_are_for_the_container)
{
	autofree char *source = make_layer("data");
	autofree char *file = mem_printf("%s/only-data", source);
	autofree char *below = mem_printf("%s/below", source);
	struct rootfs *rootfs = share_well(file, "\"bind\",\"ro\"");

	expect_write("mounts/0", EROFS);
	unmount_it(rootfs);

	cr_assert_eq(mkdir(below, 0755), 0);
	cr_assert_eq(mount("below", below, "tmpfs", 0, NULL), 0);
	rootfs = share_well(source, "\"rbind\",\"ro\"");
	expect_write("mounts/0/new", EROFS);
	expect_write("mounts/0/below/new", EROFS);
	unmount_it(rootfs);
	rootfs = share_well(source, "\"rbind\",\"rro\"");
	expect_write("mounts/0/new", EROFS);
	expect_write("mounts/0/below/new", EROFS);
	unmount_it(rootfs);
	rootfs = share_well(source, "\"rbind\",\"ro\",\"rw\"");
	expect_write("mounts/0/new", 0);
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
	cr_expect(exists("mounts/0/below/deep"));
	unmount_it(rootfs);
	rootfs = share_well(source, "\"bind\"");
	cr_expect(exists("mounts/0/below"));
	cr_expect(!exists("mounts/0/below/deep"));
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
		cr_expect_eq(exists("mounts/0/below/deep"), rows[i].follows, "%s", rows[i].options);
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
	cr_expect(exists("mounts/0/only-data"));
	unmount_it(rootfs);
}

static void expect_failure(const char *source, const char *cause)
{
	autofree char *text = mem_printf(
		"cannot mount the container's file systems: mounts[0] \"/data\": %s", cause);
	struct rootfs *rootfs = NULL;
	struct error err = share(source, "\"rbind\"", &rootfs);

	cr_expect_str_eq(err.text, text);
	cr_expect_neq(access(dir, F_OK), 0);
	rootfs_destroy(rootfs);
}

Test(volumes, name_what_cannot_be_shared_and_leave_nothing)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_STREAM, 0);
	autofree char *cause = NULL;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", top);
	cr_assert_eq(bind(sock, (struct sockaddr *)&address, sizeof(address)), 0);
	cause = mem_printf("bind of \"%s\", neither a file nor a directory: not supported",
	                   address.sun_path);
	expect_failure(address.sun_path, cause);
	expect_failure("/dev/null",
	               "bind of \"/dev/null\", neither a file nor a directory: not supported");
	expect_failure("/nosuch", "cannot bind \"/nosuch\": No such file or directory");
	close(sock);
}
