#include "agent/base/mount_options.h"

#include <criterion/criterion.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/mount.h>

#include "common/error.h"
#include "common/mem.h"

#define WORDS_MAX 8

/* Of words separated by blanks. */
static int parse(const char *text, struct mount_options *out, struct error *err)
{
	autofree char *copy = mem_strdup(text);
	char *words[WORDS_MAX];
	char *rest = copy;
	size_t n = 0;
	char *word;

	while ((word = strsep(&rest, " ")))
		words[n++] = word;
	return mount_options_parse(words, n, out, err);
}

Test(mount_options, flags_and_data_are_told_apart)
{
	struct mount_options options;

	cr_assert_eq(parse("nosuid strictatime mode=755 size=65536k ro", &options, NULL), 0);
	cr_expect_eq(options.flags, MS_NOSUID | MS_STRICTATIME | MS_RDONLY);
	cr_expect_str_eq(options.data, "mode=755,size=65536k");
	cr_expect_eq(options.n_propagation, 0);
	mount_options_fini(&options);
}

Test(mount_options, later_words_win)
{
	struct mount_options options;

	cr_assert_eq(parse("ro nodev rw dev exec noexec", &options, NULL), 0);
	cr_expect_eq(options.flags, MS_NOEXEC);
	cr_expect_str_eq(options.data, "");
	mount_options_fini(&options);
}

Test(mount_options, propagation_comes_apart)
{
	struct mount_options options;

	cr_assert_eq(parse("rbind rprivate shared", &options, NULL), 0);
	cr_expect_eq(options.flags, MS_BIND | MS_REC);
	cr_assert_eq(options.n_propagation, 2);
	cr_expect_eq(options.propagation[0], MS_PRIVATE | MS_REC);
	cr_expect_eq(options.propagation[1], MS_SHARED);
	mount_options_fini(&options);
}

Test(mount_options, attributes_of_a_tree_replace_each_other)
{
	struct mount_options options;

	cr_assert_eq(parse("rro rnosuid rsuid rnoatime rrelatime", &options, NULL), 0);
	cr_expect_eq(options.attr_set, MOUNT_ATTR_RDONLY);
	cr_expect_eq(options.attr_clear, MOUNT_ATTR_NOSUID | MOUNT_ATTR__ATIME);
	mount_options_fini(&options);
	cr_assert_eq(parse("rrelatime rnoatime", &options, NULL), 0);
	cr_expect_eq(options.attr_set, MOUNT_ATTR_NOATIME);
	cr_expect_eq(options.attr_clear, MOUNT_ATTR__ATIME);
	mount_options_fini(&options);
}

Test(mount_options, what_is_not_done_is_refused)
{
	struct mount_options options;
	struct error err;

	cr_expect_lt(parse("ro idmap", &options, &err), 0);
	cr_expect_eq(err.code, ERROR_UNIMPLEMENTED);
	cr_expect_str_eq(err.text, "mount option \"idmap\": not supported");
	cr_expect_lt(parse("shared slave shared slave shared", &options, &err), 0);
	cr_expect_eq(err.code, ERROR_INVALID_ARGUMENT);
}

Test(mount_options, data_has_a_limit)
{
	struct mount_options options;
	autofree char *word = mem_alloc(MOUNT_DATA_MAX + 2);
	struct error err;

	memset(word, 'x', MOUNT_DATA_MAX + 1);
	cr_expect_lt(mount_options_parse(&word, 1, &options, &err), 0);
	cr_expect_eq(err.code, ERROR_INVALID_ARGUMENT);
}

Test(mount_options, propagation_words_are_known)
{
	cr_expect_eq(mount_propagation("rslave"), MS_SLAVE | MS_REC);
	cr_expect_eq(mount_propagation("unbindable"), MS_UNBINDABLE);
	cr_expect_eq(mount_propagation("nosuch"), 0);
}
