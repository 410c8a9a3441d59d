#include "common/mount_words.h"

#include <criterion/criterion.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/mount.h>

Test(mount_words, are_in_order_and_each_once)
{
	for (const struct mount_word *word = mount_words; word[1].name; word++)
		cr_expect_lt(strcmp(word[0].name, word[1].name), 0, "%s", word[1].name);
}

Test(mount_words, change_something_each)
{
	for (const struct mount_word *word = mount_words; word->name; word++)
		if (strcmp(word->name, "defaults") != 0)
			cr_expect(word->set || word->clear, "%s", word->name);
}

Test(mount_words, replace_one_access_time_by_another)
{
	unsigned long modes = MS_NOATIME | MS_RELATIME | MS_STRICTATIME;
	const char *const names[] = { "noatime", "relatime", "strictatime" };

	for (size_t i = 0; i < 3; i++) {
		const struct mount_word *word = mount_word_find(names[i]);

		cr_expect_eq(word->set | word->clear, modes);
		cr_expect_eq(word->set & word->clear, 0);
	}
	cr_expect_eq(mount_word_find("rrelatime")->clear, MOUNT_ATTR__ATIME);
	cr_expect_eq(mount_word_find("rstrictatime")->clear, MOUNT_ATTR__ATIME);
}

Test(mount_words, are_of_the_kernel_alone)
{
	cr_expect_null(mount_word_find("lowerdir=/a"));
	cr_expect_null(mount_word_find("mode=755"));
	cr_expect_null(mount_word_find(""));
	cr_expect_null(mount_word_find("tmpcopyup"));
}
