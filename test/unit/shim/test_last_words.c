#include "shim/pod/last_words.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static char text[1000];

static void add(const char *to, const char *console)
{
	snprintf(text, sizeof(text), "%s", to);
	last_words_add(text, sizeof(text), console);
}

Test(last_words, are_added)
{
	add("gone", "one | two");
	cr_expect_str_eq(text, "gone; the console's last lines: one | two");
}

Test(last_words, are_none_on_an_empty_console)
{
	add("gone", "");
	cr_expect_str_eq(text, "gone");
}

Test(last_words, are_not_said_twice)
{
	add("QEMU exited with status 1: no such device", "no such device");
	cr_expect_str_eq(text, "QEMU exited with status 1: no such device");
}

Test(last_words, leave_out_what_was_said_but_not_what_led_to_it)
{
	add("QEMU exited with status 1: no such device", "look: a device | no such device | ");
	cr_expect_str_eq(text, "QEMU exited with status 1: no such device; the console's last "
	                       "lines: look: a device");
}

Test(last_words, fill_the_room_there_is_with_their_end)
{
	char small[60] = "gone";

	last_words_add(small, sizeof(small), "the first line | the second line | the third");
	cr_expect_str_eq(small, "gone; the console's last lines: the third");
	snprintf(small, sizeof(small), "%058d", 0);
	last_words_add(small, sizeof(small), "no room for it");
	cr_expect_eq(strlen(small), 58);
}

Test(last_words, end_with_a_panic)
{
	add("gone", "out of patience | [ 1.2] Kernel panic - not syncing: x | [ 1.3] CPU: 0 | R10");
	cr_expect_str_eq(text, "gone; the console's last lines: out of patience | [ 1.2] Kernel "
	                       "panic - not syncing: x");
}

Test(last_words, are_whole_lines)
{
	char console[2000] = "";

	for (int i = 0; i < 100; i++)
		snprintf(console + strlen(console), sizeof(console) - strlen(console), "line %d | ",
		         i);
	add("gone", console);
	cr_expect(strstr(text, "lines: line "), "%s", text);
	cr_expect_str_eq(text + strlen(text) - 7, "line 99");
	cr_expect_leq(strlen(text), LAST_WORDS_MAX + 50);
}

Test(last_words, of_one_long_line_are_its_end)
{
	char console[1001];

	memset(console, 'x', 1000);
	console[999] = 'y';
	console[1000] = '\0';
	add("gone", console);
	cr_expect_eq(text[strlen(text) - 1], 'y');
	cr_expect_leq(strlen(text), LAST_WORDS_MAX + 50);
}
