#include "shim/spec/guest_devices.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "common/error.h"
#include "common/mem.h"
#include "shim/spec/spec.h"

#define HEAD                                                                                       \
	"{\"ociVersion\":\"1.0.2\",\"process\":{\"args\":[\"sh\"],\"cwd\":\"/\"},"                 \
	"\"root\":{\"path\":\"rootfs\"},\"linux\":{\"devices\":["                                  \
	"{\"path\":\"/dev/null\",\"type\":\"c\",\"major\":1,\"minor\":3},"                         \
	"{\"path\":\"/dev/sda\",\"type\":\"b\",\"major\":8,\"minor\":0},"                          \
	"{\"path\":\"/data/disk\",\"type\":\"b\",\"major\":8,\"minor\":0},"                        \
	"{\"path\":\"/dev/loop9\",\"type\":\"b\",\"major\":7,\"minor\":9},"                        \
	"{\"path\":\"/dev/mem\",\"type\":\"c\",\"major\":1,\"minor\":1},"                          \
	"{\"path\":\"/dev/fifo\",\"type\":\"p\"},"                                                 \
	"{\"path\":\"/dev/kvm\",\"type\":\"c\",\"major\":10,\"minor\":232,\"fileMode\":432}"       \
	"],\"resources\":{\"devices\":["
#define TAIL "]}}}"

/* The host has this one disk. */
int stat(const char *path, struct stat *out)
{
	int r = fstatat(AT_FDCWD, path, out, 0);

	if (strcmp(path, "/dev/sda") != 0)
		return r;
	*out = (struct stat){ .st_mode = S_IFBLK | 0660, .st_rdev = makedev(8, 0) };
	return 0;
}

static Grpc__Spec *parse(const char *rules)
{
	autofree char *text = mem_printf(HEAD "%s" TAIL, rules);
	Grpc__Spec *spec = NULL;
	struct error err = { 0 };

	cr_assert_eq(spec_parse(text, strlen(text), &spec, &err), 0, "%s", err.text);
	return spec;
}

static void expect_sweep(const char *rules)
{
	static const char *const left[] = { "/dev/null", "/data/disk", "/dev/loop9", "/dev/fifo",
		                            "/dev/kvm" };
	autodestroy(spec) Grpc__Spec *spec = parse(rules);
	struct error err = { 0 };

	cr_assert_eq(guest_devices_apply(spec->linux, &err), 0, "%s: %s", rules, err.text);
	cr_assert_eq(spec->linux->n_devices, 5, "%s", rules);
	for (size_t i = 0; i < spec->linux->n_devices; i++)
		cr_expect_str_eq(spec->linux->devices[i]->path, left[i]);
	cr_expect_eq(spec->linux->devices[4]->minor, 232);
	cr_expect_eq(spec->linux->devices[4]->filemode, 0660);
}

Test(guest_devices, of_a_privileged_container_are_those_that_the_guest_has)
{
	expect_sweep("{\"allow\":true,\"access\":\"rwm\"}"); /* containerd's and docker's */
	expect_sweep("{\"allow\":false,\"access\":\"rwm\"},"
	             "{\"allow\":true,\"type\":\"a\",\"access\":\"rwm\"}");
}

Test(guest_devices, that_were_asked_for_are_refused_by_name)
{
	static const char *const rules[] = {
		"",
		"{\"allow\":false,\"access\":\"rwm\"}",
		"{\"allow\":true,\"type\":\"b\",\"access\":\"rwm\"}",
		"{\"allow\":true,\"access\":\"m\"}",
		"{\"allow\":true,\"major\":8,\"access\":\"rwm\"}",
	};

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		autodestroy(spec) Grpc__Spec *spec = parse(rules[i]);
		struct error err = { 0 };

		cr_expect_eq(guest_devices_apply(spec->linux, &err), -ENOSYS, "%s", rules[i]);
		cr_expect_str_eq(
			err.text,
			"linux.devices[4] \"/dev/mem\": devices of the host: not supported");
	}
}

Test(guest_devices, of_the_host_that_are_disks_were_asked_for)
{
	static const struct {
		const char *rules;
		bool disks[7];
	} rows[] = {
		{ "", { false, true, true } },
		{ "{\"allow\":true,\"access\":\"rwm\"}", { false, false, true } },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		autodestroy(spec) Grpc__Spec *spec = parse(rows[i].rules);

		for (size_t j = 0; j < 7; j++)
			cr_expect_eq(guest_devices_is_disk(spec->linux, spec->linux->devices[j]),
			             rows[i].disks[j], "%zu: %zu", i, j);
	}
}

Test(guest_devices, are_known_by_their_number)
{
	cr_expect_str_eq(guest_devices_name(S_IFCHR | 0666, makedev(10, 200)), "net/tun");
	cr_expect_str_eq(guest_devices_name(S_IFCHR, makedev(1, 3)), "null");
	cr_expect_null(guest_devices_name(S_IFBLK, makedev(1, 3)));
	cr_expect_null(guest_devices_name(S_IFCHR, makedev(1, 1)));
	cr_expect_null(guest_devices_name(S_IFREG, makedev(1, 3)));
	cr_expect_not_null(guest_devices_name(S_IFBLK, makedev(7, 4000)));
}
