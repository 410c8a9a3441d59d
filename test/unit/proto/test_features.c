#include "proto/features.h"

#include <criterion/criterion.h>
#include <string.h>

#include "common/error.h"

Test(features, are_known_by_their_words_and_others_ignored)
{
	cr_assert_eq(features_parse("0.1.0"), 0);
	cr_assert_eq(features_parse(""), 0);
	cr_assert_eq(features_parse("0.1.0 clock"), FEATURE_CLOCK);
	cr_assert_eq(features_parse("0.1.0  oci7 clock "), FEATURE_CLOCK);
	cr_assert_eq(features_parse("0.1.0 clocks cloc CLOCK"), 0);
}

Test(features, of_the_agent_itself_are_all_known)
{
	unsigned int all = 0;

	for (const char *const *word = features_words(); *word; word++) {
		cr_assert_eq(features_parse(*word) & all, 0, "%s", *word);
		cr_assert_neq(features_parse(*word), 0, "%s", *word);
		all |= features_parse(*word);
	}
}

Test(features, that_are_missing_are_named)
{
	struct error err;

	cr_assert_eq(features_require(FEATURE_CLOCK, FEATURE_CLOCK, "the clock", &err), 0);
	cr_assert_lt(features_require(0, FEATURE_CLOCK, "the clock", &err), 0);
	cr_assert_eq(err.code, ERROR_UNIMPLEMENTED);
	cr_assert_str_eq(err.text, "the clock: not supported by the guest's agent");
}
