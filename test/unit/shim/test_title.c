#include "shim/host/title.h"

#include <criterion/criterion.h>
#include <string.h>

Test(title, replaces_the_arguments)
{
	char memory[] = "/usr/bin/shim\0-id\0abcdef\0start";
	char *argv[] = { memory, memory + 14, memory + 18, memory + 25, NULL };

	title_set(argv, "shim -id %s", "abcdef");
	cr_assert_str_eq(memory, "shim -id abcdef");
	for (size_t i = strlen(memory); i < sizeof(memory); i++)
		cr_assert_eq(memory[i], '\0');
}

Test(title, is_cut_to_the_room_there_is)
{
	char memory[] = "ab\0cd\0EF";
	char *argv[] = { memory, memory + 3, NULL };

	title_set(argv, "0123456789");
	cr_assert_arr_eq(memory, "01234\0EF", sizeof(memory));
}

Test(title, leaves_arguments_that_lie_elsewhere)
{
	char memory[] = "ab", other[] = "cd";
	char *argv[] = { memory, other, NULL };

	title_set(argv, "xyz");
	cr_assert_str_eq(memory, "xy");
	cr_assert_str_eq(other, "cd");
}
