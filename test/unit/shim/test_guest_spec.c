#include "shim/spec/guest_paths.h"
#include "shim/spec/guest_spec.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/error.h"
#include "common/mem.h"
#include "shim/spec/spec.h"
#include "test/unit/shim/example.h"

#define CONFIG(members, namespaces, linux)                                                         \
	"{\"ociVersion\":\"1.0.2\",\"process\":{\"args\":[\"sh\"],\"cwd\":\"/\"},"                 \
	"\"root\":{\"path\":\"rootfs\"}," members "\"linux\":{\"namespaces\":[" namespaces         \
	"]" linux "}}"
#define NETWORK         "{\"type\":\"network\"}"
#define WITH(members)   CONFIG(members ",", NETWORK, "")
#define LINUX(members)  CONFIG("", NETWORK, "," members)
#define MOUNT(one)      WITH("\"mounts\":[" one "]")
#define DEVICE(members) LINUX("\"devices\":[{\"path\":\"/dev/x\"," members "}]")

static Grpc__Spec *parse(const char *text)
{
	Grpc__Spec *spec = NULL;
	struct error err = { 0 };

	cr_assert_eq(spec_parse(text, strlen(text), &spec, &err), 0, "%s", err.text);
	return spec;
}

static void expect_refusal(const char *text, const char *expected)
{
	autodestroy(spec) Grpc__Spec *spec = parse(text);
	struct error err = { 0 };

	cr_expect_eq(guest_spec_apply(spec, "c1", NULL, &err), -ENOSYS, "%s", text);
	cr_expect_str_eq(err.text, expected);
}

static void expect_success(const char *text)
{
	autodestroy(spec) Grpc__Spec *spec = parse(text);
	struct error err = { 0 };

	cr_expect_eq(guest_spec_apply(spec, "c1", NULL, &err), 0, "%s: %s", text, err.text);
}

Test(guest_spec, takes_what_ctr_makes_in_full)
{
	autofree char *text = example_read("ctr-1.6.json");
	autodestroy(spec) Grpc__Spec *spec = parse(text);
	autofree char *netns = NULL;
	struct error err = { 0 };

	cr_assert_eq(guest_spec_apply(spec, "c1", &netns, &err), 0, "%s", err.text);
	cr_expect_null(netns);
	cr_expect_str_eq(spec->root->path, GUEST_SHARE "/c1/rootfs");
	cr_expect_str_eq(spec->linux->cgroupspath, "/c1");
	cr_assert_eq(spec->linux->n_namespaces, 5);
	for (size_t i = 0; i < spec->linux->n_namespaces; i++)
		cr_expect_str_neq(spec->linux->namespaces[i]->type, "network");
	cr_expect_str_eq(spec->linux->namespaces[4]->type, "cgroup");
	cr_expect_eq(spec->n_mounts, 7);
	cr_expect_eq(spec->linux->resources->n_devices, 1);
	cr_expect_eq(spec->linux->n_maskedpaths, 10);
}

Test(guest_spec, keeps_annotations_on_the_host)
{
	autodestroy(spec) Grpc__Spec *spec =
		parse(WITH("\"annotations\":{\"a\":\"1\",\"b\":\"2\"}"));
	struct error err = { 0 };

	cr_assert_eq(spec->n_annotations, 2);
	cr_expect_eq(guest_spec_apply(spec, "c1", NULL, &err), 0, "%s", err.text);
	cr_expect_eq(spec->n_annotations, 0);
}

Test(guest_spec, gives_the_path_of_the_network_namespace)
{
	autodestroy(spec) Grpc__Spec *spec = parse(
		CONFIG("", "{\"type\":\"pid\"},{\"type\":\"network\",\"path\":\"/run/netns/a\"}",
	               ",\"intelRdt\":{},\"cgroupsPath\":\"a:b:c\""));
	autofree char *netns = NULL;
	struct error err = { 0 };

	cr_assert_eq(guest_spec_apply(spec, "c1", &netns, &err), 0, "%s", err.text);
	cr_expect_str_eq(netns, "/run/netns/a");
	cr_assert_eq(spec->linux->n_namespaces, 2);
	cr_expect_str_eq(spec->linux->namespaces[0]->type, "pid");
	cr_expect_str_eq(spec->linux->namespaces[1]->type, "cgroup");
	cr_expect_str_eq(spec->linux->cgroupspath, "/c1");
	cr_expect_null(spec->linux->intelrdt);
}

Test(guest_spec, adds_no_second_cgroup_namespace)
{
	autodestroy(spec) Grpc__Spec *spec =
		parse(CONFIG("", NETWORK ",{\"type\":\"cgroup\"}", ""));
	struct error err = { 0 };

	cr_assert_eq(guest_spec_apply(spec, "c1", NULL, &err), 0, "%s", err.text);
	cr_expect_eq(spec->linux->n_namespaces, 1);
}

Test(guest_spec, refuses_mounts_that_only_the_host_can_serve)
{
	expect_refusal(MOUNT("{\"destination\":\"/proc\",\"type\":\"proc\"},"
	                     "{\"destination\":\"/a\",\"type\":\"bind\",\"source\":\"/a\"}"),
	               "mounts[1] \"/a\": bind mounts of the host: not supported");
	expect_refusal(MOUNT("{\"destination\":\"/b\",\"type\":\"none\",\"options\":[\"rbind\"]}"),
	               "mounts[0] \"/b\": bind mounts of the host: not supported");
	expect_refusal(MOUNT("{\"destination\":\"/c\",\"type\":\"tmpfs\",\"options\":[\"bind\"]}"),
	               "mounts[0] \"/c\": bind mounts of the host: not supported");
	expect_refusal(MOUNT("{\"destination\":\"/d\",\"type\":\"ext4\",\"source\":\"/dev/sda\"}"),
	               "mounts[0] \"/d\": file system type \"ext4\": not supported");
	expect_refusal(MOUNT("{\"destination\":\"/e\"}"),
	               "mounts[0] \"/e\": file system type \"\": not supported");
}

Test(guest_spec, refuses_namespaces_of_the_host)
{
	expect_refusal(CONFIG("", "{\"type\":\"pid\"}", ""),
	               "linux.namespaces: the host's network (no network namespace): not "
	               "supported");
	expect_refusal("{\"ociVersion\":\"1.0.2\",\"process\":{\"args\":[\"sh\"],\"cwd\":\"/\"},"
	               "\"root\":{\"path\":\"rootfs\"}}",
	               "linux.namespaces: the host's network (no network namespace): not "
	               "supported");
	expect_refusal(CONFIG("", NETWORK ",{\"type\":\"ipc\",\"path\":\"/proc/1/ns/ipc\"}", ""),
	               "linux.namespaces[1] ipc: joining \"/proc/1/ns/ipc\": not supported");
}

Test(guest_spec, refuses_devices_of_the_host)
{
	expect_refusal(DEVICE("\"type\":\"c\",\"major\":1,\"minor\":1"),
	               "linux.devices[0] \"/dev/x\": devices of the host: not supported");
	expect_success(DEVICE("\"type\":\"c\",\"major\":10,\"minor\":229"));
	expect_success(DEVICE("\"type\":\"p\""));
	expect_success(DEVICE("\"type\":\"b\",\"major\":8,\"minor\":0")); /* a disk */
}

Test(guest_spec, keeps_of_a_device_mode_what_mknod_sets_later)
{
	autodestroy(spec) Grpc__Spec *spec = parse(
		DEVICE("\"type\":\"c\",\"major\":1,\"minor\":3,\"fileMode\":8630")); /* 020666 */
	struct error err = { 0 };

	cr_assert_eq(guest_spec_apply(spec, "c1", NULL, &err), 0, "%s", err.text);
	cr_expect_eq(spec->linux->devices[0]->filemode, 0666);
}

static void expect_for_upstream(const char *namespaces, bool shares_pid, const char *expected)
{
	autofree char *text = mem_printf(CONFIG("", "%s", ""), namespaces);
	autodestroy(spec) Grpc__Spec *spec = parse(text);
	char rows[128] = "";
	size_t len = 0;

	cr_assert_eq(guest_spec_apply(spec, "c1", NULL, NULL), 0);
	cr_expect_eq(guest_spec_for_upstream(spec), shares_pid, "%s", namespaces);
	for (size_t i = 0; i < spec->linux->n_namespaces; i++)
		len += (size_t)snprintf(rows + len, sizeof(rows) - len, "%s ",
		                        spec->linux->namespaces[i]->type);
	cr_expect_str_eq(rows, expected);
}

/* It makes a pid namespace for each container, and one row of ours would be a second. */
Test(guest_spec, upstreams_agent_gets_no_row_of_pid_and_rows_of_ipc_and_uts)
{
	expect_for_upstream("{\"type\":\"pid\"}," NETWORK ",{\"type\":\"mount\"}", false,
	                    "mount cgroup ipc uts ");
	expect_for_upstream(NETWORK ",{\"type\":\"uts\"},{\"type\":\"ipc\"}", true,
	                    "uts ipc cgroup ");
}
