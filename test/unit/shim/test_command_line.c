#include "shim/cli/command_line.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"

static struct error err;

#define parse(out, ...)                                                                            \
	command_line_parse(sizeof((char *[]){ "shim", __VA_ARGS__ }) / sizeof(char *),             \
	                   (char *[]){ "shim", __VA_ARGS__, NULL }, out, &err)

Test(command_line, reads_what_containerd_passes_to_start)
{
	struct command_line line;

	cr_assert_eq(parse(&line, "-namespace", "k8s.io", "-address",
	                   "/run/containerd/containerd.sock", "-publish-binary",
	                   "/usr/bin/containerd", "-id", "abc", "-debug", "start"),
	             0);
	cr_assert_str_eq(line.namespace, "k8s.io");
	cr_assert_str_eq(line.address, "/run/containerd/containerd.sock");
	cr_assert_str_eq(line.publish_binary, "/usr/bin/containerd");
	cr_assert_str_eq(line.id, "abc");
	cr_assert_str_eq(line.bundle, "");
	cr_assert_str_eq(line.command, "start");
	cr_assert(line.debug);
	cr_assert_not(line.version);
}

Test(command_line, takes_the_forms_of_gos_flag_package)
{
	struct command_line line;

	cr_assert_eq(parse(&line, "-id=a", "--bundle", "/b", "--namespace=n", "-debug=false",
	                   "-address=", "delete", "-id", "ignored"),
	             0);
	cr_assert_str_eq(line.id, "a");
	cr_assert_str_eq(line.bundle, "/b");
	cr_assert_str_eq(line.namespace, "n");
	cr_assert_str_eq(line.address, "");
	cr_assert_not(line.debug);
	cr_assert_str_eq(line.command, "delete");
}

Test(command_line, has_two_names_for_the_version)
{
	struct command_line line;

	cr_assert_eq(parse(&line, "-v"), 0);
	cr_assert(line.version);
	cr_assert_str_eq(line.command, "");
	cr_assert_eq(parse(&line, "--version"), 0);
	cr_assert(line.version);
}

Test(command_line, names_the_option_that_is_wrong)
{
	struct command_line line;

	cr_assert_lt(parse(&line, "-nonsense", "start"), 0);
	cr_assert_str_eq(err.text, "invalid option \"-nonsense\": unknown");
	cr_assert_lt(parse(&line, "-id"), 0);
	cr_assert_str_eq(err.text, "invalid option \"-id\": needs a value");
	cr_assert_lt(parse(&line, "-debug=perhaps", "start"), 0);
	cr_assert_str_eq(err.text, "invalid option \"-debug=perhaps\": expected true or false");
	cr_assert_lt(parse(&line, "-idx=1", "start"), 0);
}

static int check(const char *ns, const char *id)
{
	struct command_line line = { .namespace = ns, .id = id };

	return command_line_check_names(&line, &err);
}

Test(command_line, allows_names_as_containerd_does)
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

Test(command_line, says_which_name_is_missing_or_too_long)
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

Test(command_line, takes_the_working_directory_for_the_bundle)
{
	struct command_line line = { .bundle = "" };
	char *bundle;

	cr_assert_eq(chdir("/usr"), 0);
	bundle = command_line_bundle(&line, &err);
	cr_assert_str_eq(bundle, "/usr");
	free(bundle);
	line.bundle = "/nowhere";
	cr_assert_null(command_line_bundle(&line, &err));
	cr_assert_str_eq(err.text, "cannot find bundle \"/nowhere\": No such file or directory");
}
