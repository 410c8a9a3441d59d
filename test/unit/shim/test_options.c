#include "shim/cli/options.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"

static struct error err;

#define parse(out, ...)                                                                            \
	options_parse(sizeof((char *[]){ "shim", __VA_ARGS__ }) / sizeof(char *),                  \
	              (char *[]){ "shim", __VA_ARGS__, NULL }, out, &err)

Test(options, reads_what_containerd_passes_to_start)
{
	struct options options;

	cr_assert_eq(parse(&options, "-namespace", "k8s.io", "-address",
	                   "/run/containerd/containerd.sock", "-publish-binary",
	                   "/usr/bin/containerd", "-id", "abc", "-debug", "start"),
	             0);
	cr_assert_str_eq(options.namespace, "k8s.io");
	cr_assert_str_eq(options.address, "/run/containerd/containerd.sock");
	cr_assert_str_eq(options.publish_binary, "/usr/bin/containerd");
	cr_assert_str_eq(options.id, "abc");
	cr_assert_str_eq(options.bundle, "");
	cr_assert_str_eq(options.command, "start");
	cr_assert(options.debug);
	cr_assert_not(options.version);
}

Test(options, takes_the_forms_of_gos_flag_package)
{
	struct options options;

	cr_assert_eq(parse(&options, "-id=a", "--bundle", "/b", "--namespace=n", "-debug=false",
	                   "-address=", "delete", "-id", "ignored"),
	             0);
	cr_assert_str_eq(options.id, "a");
	cr_assert_str_eq(options.bundle, "/b");
	cr_assert_str_eq(options.namespace, "n");
	cr_assert_str_eq(options.address, "");
	cr_assert_not(options.debug);
	cr_assert_str_eq(options.command, "delete");
}

Test(options, has_two_names_for_the_version)
{
	struct options options;

	cr_assert_eq(parse(&options, "-v"), 0);
	cr_assert(options.version);
	cr_assert_str_eq(options.command, "");
	cr_assert_eq(parse(&options, "--version"), 0);
	cr_assert(options.version);
}

Test(options, names_the_option_that_is_wrong)
{
	struct options options;

	cr_assert_lt(parse(&options, "-nonsense", "start"), 0);
	cr_assert_str_eq(err.text, "unknown option '-nonsense'");
	cr_assert_lt(parse(&options, "-id"), 0);
	cr_assert_str_eq(err.text, "option '-id' needs a value");
	cr_assert_lt(parse(&options, "-debug=perhaps", "start"), 0);
	cr_assert_str_eq(err.text, "option '-debug=perhaps': expected true or false");
	cr_assert_lt(parse(&options, "-idx=1", "start"), 0);
}

static int check(const char *ns, const char *id)
{
	struct options options = { .namespace = ns, .id = id };

	return options_check_names(&options, &err);
}

Test(options, allows_names_as_containerd_does)
{
	static const char *const good[] = { "a", "k8s.io", "A_b-c.9", "0123456789abcdef" };
	static const char *const bad[] = { ".",    "..",  "a/b", "-a",      "a-",
		                           "a..b", "a b", "a\n", "\xc3\xa4" };

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		cr_assert_eq(check("default", good[i]), 0, "%s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cr_assert_lt(check("default", bad[i]), 0, "%s", bad[i]);
		cr_assert_lt(check(bad[i], "id"), 0, "%s", bad[i]);
	}
}

Test(options, says_which_name_is_missing_or_too_long)
{
	char name[100];

	cr_assert_lt(check("", "id"), 0);
	cr_assert_str_eq(err.text, "option -namespace is missing");
	cr_assert_lt(check("ns", ""), 0);
	cr_assert_str_eq(err.text, "option -id is missing");
	memset(name, 'x', sizeof(name));
	name[76] = '\0';
	cr_assert_eq(check("ns", name), 0);
	name[76] = 'x';
	name[77] = '\0';
	cr_assert_lt(check("ns", name), 0);
}

Test(options, takes_the_working_directory_for_the_bundle)
{
	struct options options = { .bundle = "" };
	char *bundle;

	cr_assert_eq(chdir("/usr"), 0);
	bundle = options_bundle(&options, &err);
	cr_assert_str_eq(bundle, "/usr");
	free(bundle);
	options.bundle = "/nowhere";
	cr_assert_null(options_bundle(&options, &err));
	cr_assert_str_eq(err.text, "bundle '/nowhere': No such file or directory");
}
