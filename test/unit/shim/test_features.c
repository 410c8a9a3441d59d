#include "shim/cli/features.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>

static json_t *features;

static void load(void)
{
	char *text = features_json();

	features = json_loads(text, 0, NULL);
	cr_assert_not_null(features, "%s", text);
	free(text);
}

static void unload(void)
{
	json_decref(features);
}

TestSuite(features, .init = load, .fini = unload);

static const json_t *of_linux(const char *key)
{
	return json_object_get(json_object_get(features, "linux"), key);
}

static bool has(const json_t *array, const char *name)
{
	for (size_t i = 0; i < json_array_size(array); i++)
		if (!strcmp(json_string_value(json_array_get(array, i)), name))
			return true;
	return false;
}

Test(features, offer_recursive_read_only_mounts)
{
	const json_t *options = json_object_get(features, "mountOptions");

	cr_expect(has(options, "rro"));
	cr_expect(has(options, "rbind"));
	cr_expect(has(options, "rslave"));
}

Test(features, offer_nothing_that_is_refused)
{
	static const char *const refused[] = { "shared", "rshared", "tmpcopyup", "idmap",
		                               "ridmap" };
	const json_t *options = json_object_get(features, "mountOptions");

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		cr_expect_not(has(options, refused[i]), "%s", refused[i]);
	cr_expect_not(has(of_linux("namespaces"), "user"));
	cr_expect_not(has(of_linux("namespaces"), "time"));
	cr_expect_not(has(json_object_get(of_linux("seccomp"), "actions"), "SCMP_ACT_NOTIFY"));
	cr_expect_eq(json_array_size(json_object_get(features, "hooks")), 0);
	cr_expect(json_is_false(
		json_object_get(json_object_get(of_linux("mountExtensions"), "idmap"), "enabled")));
}

/* Those that libcap knows; a later one may know more. */
Test(features, name_every_capability)
{
	const json_t *capabilities = of_linux("capabilities");
	cap_value_t value;

	cr_expect_geq(json_array_size(capabilities), CAP_LAST_CAP + 1);
	for (size_t i = 0; i < json_array_size(capabilities); i++) {
		const char *name = json_string_value(json_array_get(capabilities, i));

		cr_expect_eq(cap_from_name(name, &value), 0, "%s", name);
	}
}

Test(features, name_architectures_of_seccomp_as_libseccomp_does)
{
	const json_t *archs = json_object_get(of_linux("seccomp"), "archs");

	for (size_t i = 0; i < json_array_size(archs); i++) {
		char name[20] = "";
		const char *c = json_string_value(json_array_get(archs, i)) + strlen("SCMP_ARCH_");

		for (size_t at = 0; c[at]; at++)
			name[at] = c[at] >= 'A' && c[at] <= 'Z' ? c[at] + 'a' - 'A' : c[at];
		cr_expect_neq(seccomp_arch_resolve_name(name), 0, "%s", name);
	}
}
