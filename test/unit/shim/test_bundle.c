#include "shim/spec/bundle.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "common/error.h"
#include "common/file.h"
#include "common/mem.h"

#define CONFIG(root, annotations)                                                                  \
	"{\"ociVersion\":\"1.0.2\",\"process\":{\"args\":[\"sh\"],\"cwd\":\"/\"},"                 \
	"\"root\":{\"path\":\"" root "\"},\"annotations\":{" annotations "}}"
#define CONTAINERD "\"io.kubernetes.cri.container-type\":"
#define CRIO       "\"io.kubernetes.cri-o.ContainerType\":"

static char dir[] = "/tmp/bundle-XXXXXX";

static void setup(void)
{
	cr_assert(mkdtemp(dir));
}

static void teardown(void)
{
	cr_expect_eq(file_remove_tree(AT_FDCWD, dir, NULL), 0);
}

TestSuite(bundle, .init = setup, .fini = teardown);

static int load(const char *config, struct bundle **out, struct error *err)
{
	autofree char *path = mem_printf("%s/config.json", dir);
	FILE *file = fopen(path, "w");

	cr_assert_not_null(file);
	fputs(config, file);
	fclose(file);
	return bundle_load(dir, out, err);
}

static void expect_failure(const char *config, const char *expected)
{
	autofree char *text = mem_printf("bundle \"%s\": %s", dir, expected);
	struct bundle *bundle = NULL;
	struct error err = { 0 };

	cr_expect_lt(load(config, &bundle, &err), 0);
	cr_expect_str_eq(err.text, text);
	cr_expect_null(bundle);
}

Test(bundle, alone_is_its_own_pod)
{
	autodestroy(bundle) struct bundle *bundle = NULL;
	autofree char *rootfs = mem_printf("%s/rootfs", dir);
	struct error err = { 0 };

	cr_assert_eq(load(CONFIG("rootfs", ""), &bundle, &err), 0, "%s", err.text);
	cr_expect_str_eq(bundle_dir(bundle), dir);
	cr_expect_str_eq(bundle_rootfs(bundle), rootfs);
	cr_expect_str_eq(bundle_spec(bundle)->process->args[0], "sh");
	cr_expect_eq(bundle_type(bundle), BUNDLE_SINGLE);
	cr_expect_null(bundle_sandbox_id(bundle));
}

Test(bundle, knows_its_pod_by_the_annotations_of_containerd)
{
	autodestroy(bundle) struct bundle *bundle = NULL;
	struct error err = { 0 };

	cr_assert_eq(load(CONFIG("/r", CONTAINERD "\"sandbox\","
	                                          "\"io.kubernetes.cri.sandbox-id\":\"pod1\""),
	                  &bundle, &err),
	             0, "%s", err.text);
	cr_expect_eq(bundle_type(bundle), BUNDLE_SANDBOX);
	cr_expect_str_eq(bundle_sandbox_id(bundle), "pod1");
	cr_expect_str_eq(bundle_rootfs(bundle), "/r");
}

Test(bundle, knows_its_pod_by_the_annotations_of_crio)
{
	autodestroy(bundle) struct bundle *bundle = NULL;
	struct error err = { 0 };

	cr_assert_eq(load(CONFIG("/r", CRIO "\"container\","
	                                    "\"io.kubernetes.cri-o.SandboxID\":\"pod1\""),
	                  &bundle, &err),
	             0, "%s", err.text);
	cr_expect_eq(bundle_type(bundle), BUNDLE_CONTAINER);
	cr_expect_str_eq(bundle_sandbox_id(bundle), "pod1");
}

Test(bundle, without_config_json_it_is_bare)
{
	cr_expect(bundle_is_bare(dir));
	cr_expect_not(bundle_is_bare("/nosuch"));
	expect_failure("{",
	               "config.json: line 1, column 1: string or '}' expected near end of file");
	cr_expect_not(bundle_is_bare(dir));
}

Test(bundle, names_what_is_wrong)
{
	struct bundle *bundle = NULL;
	struct error err = { 0 };
	autofree char *missing = mem_printf("bundle \"%s\": cannot open \"config.json\": No such "
	                                    "file or directory",
	                                    dir);

	cr_expect_eq(bundle_load("/nosuch", &bundle, &err), -ENOENT);
	cr_expect_str_eq(err.text, "cannot find bundle \"/nosuch\": No such file or directory");
	cr_expect_eq(bundle_load(dir, &bundle, &err), -ENOENT);
	cr_expect_str_eq(err.text, missing);
	expect_failure("{",
	               "config.json: line 1, column 1: string or '}' expected near end of file");
	expect_failure(CONFIG("/r", CONTAINERD "\"container\""),
	               "annotation \"io.kubernetes.cri.sandbox-id\": missing");
	expect_failure(CONFIG("/r", CONTAINERD "\"x\",\"io.kubernetes.cri.sandbox-id\":\"a\""),
	               "invalid annotation \"io.kubernetes.cri.container-type\" \"x\": expected "
	               "\"sandbox\" or "
	               "\"container\"");
}
