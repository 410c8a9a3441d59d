#include "agent/launch/environment.h"

#include <criterion/criterion.h>
#include <string.h>

#include "common/error.h"
#include "common/mem.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void expect(char **environment, const char *const *entries)
{
	size_t i;

	for (i = 0; entries[i]; i++) {
		cr_assert_not_null(environment[i]);
		cr_expect_str_eq(environment[i], entries[i]);
	}
	cr_expect_null(environment[i]);
}

Test(environment, last_value_of_a_name_counts_at_its_first_place)
{
	char *entries[] = { "A=1", "HOME=/h", "AB=2", "A=3", "B=", "A=" };
	autofree char **environment = environment_make(entries, COUNT(entries), "/root");

	expect(environment, (const char *[]){ "A=", "HOME=/h", "AB=2", "B=", NULL });
	cr_expect_str_eq(environment_get(environment, "AB"), "2");
	cr_expect_str_eq(environment_get(environment, "A"), "");
	cr_expect_null(environment_get(environment, "HO"));
}

Test(environment, home_is_given_where_it_is_missing)
{
	char *entries[] = { "A=1" };
	autofree char **environment = environment_make(entries, COUNT(entries), "/root");

	expect(environment, (const char *[]){ "A=1", "HOME=/root", NULL });
	free(environment[1]);
}

Test(environment, home_is_given_where_it_is_empty)
{
	char *entries[] = { "HOME=", "A=1" };
	autofree char **environment = environment_make(entries, COUNT(entries), "/root");

	expect(environment, (const char *[]){ "HOME=/root", "A=1", NULL });
	free(environment[0]);
}

Test(environment, none_has_a_home_too)
{
	autofree char **environment = environment_make(NULL, 0, "/");

	expect(environment, (const char *[]){ "HOME=/", NULL });
	free(environment[0]);
}

Test(environment, home_is_looked_for_where_none_is_given)
{
	char *entries[] = { "HOME=", "A=1", "HOME=/h", "HOMER=", "HOME=" };

	cr_expect(environment_needs_home(entries, 0));
	cr_expect(environment_needs_home(entries, 2));
	cr_expect_not(environment_needs_home(entries, 4));
	cr_expect(environment_needs_home(entries, 5));
}

Test(environment, entries_without_name_or_value_are_refused)
{
	char *entries[] = { "A=1", "B", "=C" };
	struct error err;

	cr_expect_eq(environment_check(entries, 1, &err), 0);
	cr_expect_lt(environment_check(entries, 2, &err), 0);
	cr_expect_str_eq(err.text, "invalid process.env[1] \"B\": no '='");
	cr_expect_lt(environment_check(entries + 2, 1, &err), 0);
	cr_expect_str_eq(err.text, "invalid process.env[0] \"=C\": no name");
	cr_expect_lt(environment_check(entries, ENVIRONMENT_MAX + 1, &err), 0);
}
