#include "common/cpu_list.h"

#include <criterion/criterion.h>

#include "common/error.h"

static cpu_set_t parse(const char *text)
{
	struct error err;
	cpu_set_t set;

	CPU_ZERO(&set);
	cr_assert_eq(cpu_list_parse(text, &set, &err), 0, "%s", err.text);
	return set;
}

Test(cpu_list, lists_numbers_and_ranges)
{
	cpu_set_t set = parse("0-2,7,1023");

	cr_expect_eq(CPU_COUNT(&set), 5);
	cr_expect(CPU_ISSET(2, &set) && CPU_ISSET(7, &set) && CPU_ISSET(1023, &set));
	set = parse("");
	cr_expect_eq(CPU_COUNT(&set), 0);
	set = parse("3,3-3");
	cr_expect_eq(CPU_COUNT(&set), 1);
}

Test(cpu_list, what_is_none_is_refused_and_changes_nothing)
{
	static const char *const wrong[] = {
		"a",    ",",  "1,",   "-1",      "3-1",
		"1--2", "1-", "1024", "0-99999", "99999999999999999999",
		" 1",   "1 ", "0x1",  "1,,2"
	};
	cpu_set_t set;

	CPU_ZERO(&set);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct error err;

		cr_expect_lt(cpu_list_parse(wrong[i], &set, &err), 0, "%s", wrong[i]);
		cr_expect_eq(err.code, ERROR_INVALID_ARGUMENT);
	}
	cr_expect_eq(CPU_COUNT(&set), 0);
}
