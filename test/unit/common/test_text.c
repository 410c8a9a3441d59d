#include "common/text.h"

#include <criterion/criterion.h>
#include <string.h>

Test(text, knows_a_sequence_by_its_bytes)
{
	cr_expect_eq(text_utf8("a", 1), 1);
	cr_expect_eq(text_utf8("\xc3\xa4", 2), 2);
	cr_expect_eq(text_utf8("\xe2\x82\xac", TEXT_TO_NUL), 3);
	cr_expect_eq(text_utf8("\xf0\x9f\x98\x80", TEXT_TO_NUL), 4);
	cr_expect_eq(text_utf8("", 0), 0);
}

Test(text, takes_no_sequence_that_is_cut_off_too_long_or_of_no_character)
{
	static const char *const wrong[] = {
		"\x80",
		"\xc3",
		"\xc0\x80",
		"\xc1\xbf",
		"\xe0\x9f\xbf",
		"\xed\xa0\x80",
		"\xf0\x8f\xbf\xbf",
		"\xf4\x90\x80\x80",
		"\xe2\x82",
		"\xf5\x80\x80\x80",
		"\xff",
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		cr_expect_eq(text_utf8(wrong[i], TEXT_TO_NUL), 0, "wrong[%zu]", i);
	cr_expect_eq(text_utf8("\xe2\x82\xac", 2), 0);
}

Test(text, cleaned_is_one_line_that_no_terminal_obeys)
{
	char text[] = "a\033[1m\x9b\xc2\x9b\n\xc3\xa4\x7f";

	text_clean(text);
	cr_expect_str_eq(text, "a [1m?   \xc3\xa4 ");
}
