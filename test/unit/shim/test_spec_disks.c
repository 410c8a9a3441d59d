#include "shim/storage/spec_disks.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "common/error.h"
#include "common/file.h"
#include "common/mem.h"
#include "shim/spec/spec.h"
#include "shim/storage/disk_source.h"

#define SPEC(mounts, devices, rules)                                                               \
	"{\"ociVersion\":\"1.0.2\",\"process\":{\"args\":[\"sh\"],\"cwd\":\"/\"},"                 \
	"\"root\":{\"path\":\"rootfs\"},\"mounts\":[" mounts "],\"linux\":{\"devices\":[" devices  \
	"],\"resources\":{\"devices\":[" rules "]}}}"

/* The host has this one disk. */
int stat(const char *path, struct stat *out)
{
	int r = fstatat(AT_FDCWD, path, out, 0);

	if (strcmp(path, "/dev/sda") != 0)
		return r;
	*out = (struct stat){
		.st_mode = S_IFBLK | 0640, .st_rdev = makedev(8, 0), .st_uid = 1, .st_gid = 6
	};
	return 0;
}

static char records[] = "/tmp/test-records-XXXXXX";

static struct spec_disks *take(Grpc__Spec *spec)
{
	struct spec_disks *disks = NULL;
	struct error err = { 0 };

	cr_assert_eq(spec_disks_take(spec, "c", records, &disks, &err), 0, "%s", err.text);
	return disks;
}

static Grpc__Spec *parse(const char *text)
{
	Grpc__Spec *spec = NULL;
	struct error err = { 0 };

	cr_assert_eq(spec_parse(text, strlen(text), &spec, &err), 0, "%s", err.text);
	return spec;
}

static void expect_read_only(const char *rules, const bool expected[2])
{
	autofree char *text =
		mem_printf(SPEC("",
	                        "{\"path\":\"/dev/null\",\"type\":\"c\",\"major\":1,\"minor\":3},"
	                        "{\"path\":\"/a\",\"type\":\"b\",\"major\":8,\"minor\":1},"
	                        "{\"path\":\"/b\",\"type\":\"b\",\"major\":8,\"minor\":2}",
	                        "%s"),
	                   rules);
	autodestroy(spec) Grpc__Spec *spec = parse(text);
	autodestroy(spec_disks) struct spec_disks *disks = take(spec);

	cr_assert_eq(spec_disks_count(disks), 2);
	for (size_t i = 0; i < 2; i++) {
		const struct disk_source *source = spec_disks_source(disks, i);

		cr_expect_null(source->path);
		cr_expect_eq(source->number, makedev(8, i + 1));
		cr_expect_eq(source->read_only, expected[i], "%s: %zu", rules, i);
	}
}

Test(spec_disks, are_read_only_where_no_rule_lets_the_container_write)
{
	expect_read_only("", (bool[]){ true, true });
	expect_read_only(
		"{\"allow\":true,\"type\":\"b\",\"major\":8,\"minor\":1,\"access\":\"r\"},"
		"{\"allow\":true,\"type\":\"b\",\"major\":8,\"minor\":2,\"access\":\"rw\"}",
		(bool[]){ true, false });
	expect_read_only(
		"{\"allow\":true,\"access\":\"rwm\"},"
		"{\"allow\":false,\"type\":\"b\",\"major\":8,\"minor\":1,\"access\":\"w\"},"
		"{\"allow\":false,\"type\":\"c\",\"access\":\"w\"}",
		(bool[]){ true, false });
}

static char *join(char *const *words, size_t n)
{
	char *all = mem_strdup("");

	for (size_t i = 0; i < n; i++) {
		char *longer = mem_printf("%s%s%s", all, i ? "," : "", words[i]);

		free(all);
		all = longer;
	}
	return all;
}

static void expect_words(char *const *words, size_t n, const char *expected)
{
	autofree char *all = join(words, n);

	cr_expect_str_eq(all, expected);
}

Test(spec_disks, of_mounts_are_storages_and_binds_of_them)
{
	autodestroy(spec) Grpc__Spec *spec = parse(SPEC(
		"{\"destination\":\"/a\",\"type\":\"ext4\",\"source\":\"/images/a\",\"options\":["
		"\"loop\",\"ro\",\"noatime\",\"errors=remount-ro\",\"rprivate\"]},"
		"{\"destination\":\"/b\",\"type\":\"tmpfs\",\"source\":\"/dev/sda\"},"
		"{\"destination\":\"/c\",\"type\":\"bind\",\"source\":\"/dev/sda\"},"
		"{\"destination\":\"/d\",\"type\":\"xfs\",\"source\":\"/dev/sda\"}",
		"", "{\"allow\":true,\"access\":\"rwm\"}"));
	autodestroy(spec_disks) struct spec_disks *disks = take(spec);
	Grpc__CreateContainerRequest request = GRPC__CREATE_CONTAINER_REQUEST__INIT;
	Grpc__Storage volume = GRPC__STORAGE__INIT;
	Grpc__Storage *volumes[] = { &volume };

	cr_assert_eq(spec_disks_count(disks), 3);
	cr_assert_eq(spec->n_mounts, 3);
	cr_assert_eq(spec->linux->n_devices, 1);
	cr_expect_str_eq(spec->linux->devices[0]->path, "/c");
	cr_expect(spec->linux->devices[0]->major == 8 && spec->linux->devices[0]->filemode == 0640);
	cr_expect(spec->linux->devices[0]->uid == 1 && spec->linux->devices[0]->gid == 6);
	cr_expect_not(spec_disks_source(disks, 0)->read_only);
	cr_expect_str_eq(spec_disks_source(disks, 1)->path, "/images/a");
	cr_expect(spec_disks_source(disks, 1)->read_only);
	cr_expect_not(spec_disks_source(disks, 2)->read_only);
	spec_disks_bind(disks);
	cr_expect_str_eq(spec->mounts[0]->type, "bind");
	cr_expect_str_eq(spec->mounts[0]->source, "/run/kata-containers/sandbox/disks/c/1");
	expect_words(spec->mounts[0]->options, spec->mounts[0]->n_options, "ro,noatime,rprivate");
	cr_expect_str_eq(spec->mounts[1]->type, "tmpfs");
	cr_expect_str_eq(spec->mounts[2]->source, "/run/kata-containers/sandbox/disks/c/2");
	for (size_t i = 0; i < 3; i++)
		spec_disks_place(disks, i, i ? "02/00" : "01/00");
	request.storages = volumes;
	request.n_storages = 1;
	spec_disks_put(disks, &request);
	cr_assert_eq(request.n_devices, 1);
	cr_expect_str_eq(request.devices[0]->id, "01/00");
	cr_expect_str_eq(request.devices[0]->container_path, "/c");
	cr_assert_eq(request.n_storages, 3);
	cr_expect_eq(request.storages[0], &volume);
	cr_expect_str_eq(request.storages[1]->source, "02/00");
	cr_expect_str_eq(request.storages[1]->fstype, "ext4");
	cr_expect_str_eq(request.storages[1]->mount_point, spec->mounts[0]->source);
	expect_words(request.storages[1]->options, request.storages[1]->n_options,
	             "ro,noatime,errors=remount-ro");
}

Test(spec_disks, are_none_where_the_spec_names_none)
{
	autodestroy(spec) Grpc__Spec *spec = parse(
		SPEC("{\"destination\":\"/a\",\"type\":\"bind\",\"source\":\"/dev/null\"},"
	             "{\"destination\":\"/b\",\"type\":\"nfs\",\"source\":\"/dev/sda\"},"
	             "{\"destination\":\"/c\",\"type\":\"ext4\",\"source\":\"relative\"}",
	             "{\"path\":\"/dev/loop7\",\"type\":\"b\",\"major\":7,\"minor\":4000}", ""));

	cr_expect_null(take(spec));
	cr_expect_eq(spec->n_mounts, 3);
	spec_disks_bind(NULL);
	spec_disks_destroy(NULL);
}

static void write_record(const char *name, const char *text)
{
	autofree char *dir = mem_printf("%s/%s", records, name);
	autofree char *file = mem_printf("%s/mountInfo.json", dir);

	cr_assert_eq(mkdir(dir, 0700), 0);
	cr_assert_eq(file_write(AT_FDCWD, file, 0600, text, strlen(text), NULL), 0);
}

#define BIND(source, option)                                                                       \
	SPEC("{\"destination\":\"/d\",\"type\":\"bind\",\"source\":\"" source "\",\"options\":["   \
	     "\"rbind\",\"" option "\",\"rprivate\"]}",                                            \
	     "", "")

static void expect_refused(const char *config, const char *text)
{
	autodestroy(spec) Grpc__Spec *spec = parse(config);
	struct spec_disks *disks = NULL;
	struct error err = { 0 };

	cr_expect_lt(spec_disks_take(spec, "c", records, &disks, &err), 0);
	cr_expect_str_eq(err.text, text);
}

Test(spec_disks, of_direct_volumes_are_those_of_their_records)
{
	autofree char *command = NULL;

	cr_assert(mkdtemp(records));
	/* As base64 -w0 | tr /+ _- has the paths: "/vol/a?>b", "/vol/ab" without its padding. */
	write_record(
		"L3ZvbC9hPz5i",
		"{\"volume-type\":\"block\",\"device\":\"/dev/sdx\",\"fstype\":\"f2fs\","
		"\"metadata\":{\"fsGroup\":\"3000\",\"other\":\"x\","
		"\"fsGroupChangePolicy\":\"OnRootMismatch\"},\"options\":[\"noatime\",\"a=b\"]}");
	write_record("L3ZvbC9hYg", "{\"device\":\"/images/a\",\"fstype\":\"ext4\"}");
	write_record("L3ZvbC9jYw==",
	             "{\"volume-type\":\"spdkvol\",\"device\":\"/a\",\"fstype\":\"x\"}");
	write_record("L3ZvbC9kZA==", "{\"fstype\":\"x\"}");
	for (int i = 0; i < 2; i++) {
		autodestroy(spec) Grpc__Spec *spec =
			parse(i ? BIND("/vol/ab", "rw") : BIND("/vol/a?>b", "ro"));
		autodestroy(spec_disks) struct spec_disks *disks = take(spec);
		Grpc__CreateContainerRequest request = GRPC__CREATE_CONTAINER_REQUEST__INIT;

		cr_assert_not_null(disks);
		cr_assert_eq(spec_disks_count(disks), 1);
		cr_expect_str_eq(spec_disks_source(disks, 0)->path, i ? "/images/a" : "/dev/sdx");
		cr_expect_eq(spec_disks_source(disks, 0)->read_only, !i);
		spec_disks_bind(disks);
		spec_disks_put(disks, &request);
		cr_expect_str_eq(request.storages[0]->fstype, i ? "ext4" : "f2fs");
		expect_words(request.storages[0]->options, request.storages[0]->n_options,
		             i ? "" : "noatime,a=b,ro");
		expect_words(spec->mounts[0]->options, spec->mounts[0]->n_options,
		             i ? "rprivate" : "noatime,ro,rprivate");
		cr_expect_eq(request.storages[0]->fs_group != NULL, !i);
		if (!i) {
			cr_assert_not_null(request.storages[0]->fs_group);
			cr_expect_eq(request.storages[0]->fs_group->group_id, 3000);
			cr_expect_eq(request.storages[0]->fs_group->group_change_policy, 1);
		}
	}
	expect_refused(BIND("/vol/cc", "rw"),
	               "mount \"/d\": direct volume \"/vol/cc\": mountInfo.json: volume-type "
	               "\"spdkvol\": not supported");
	expect_refused(BIND("/vol/dd", "rw"),
	               "mount \"/d\": direct volume \"/vol/dd\": mountInfo.json: device: missing");
	command = mem_printf("rm -r %s", records);
	cr_assert_eq(system(command), 0); /* NOLINT: the test's own command */
}
