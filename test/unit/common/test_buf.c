#include "common/buf.h"

#include <criterion/criterion.h>
#include <errno.h>

Test(buf, gives_back_what_was_appended_in_order)
{
	struct buf buf = BUF_INIT(100);

	cr_assert_eq(buf_append(&buf, "hello ", 6), 0);
	cr_assert_eq(buf_printf(&buf, "%s", "world"), 0);
	buf_consume(&buf, 6);
	cr_assert_eq(buf.len, 5);
	cr_assert_arr_eq(buf_data(&buf), "world", 5);
	buf_fini(&buf);
}

Test(buf, refuses_what_passes_its_maximum_and_keeps_the_rest)
{
	struct buf buf = BUF_INIT(4);

	cr_assert_eq(buf_append(&buf, "abc", 3), 0);
	cr_assert_eq(buf_append(&buf, "de", 2), -ENOBUFS);
	cr_assert_eq(buf.len, 3);
	cr_assert_eq(buf_room(&buf), 1);
	buf_fini(&buf);
}

Test(buf, reuses_the_room_of_consumed_bytes)
{
	struct buf buf = BUF_INIT(1024);
	char block[512] = { 0 };

	for (int i = 0; i < 100; i++) {
		cr_assert_eq(buf_append(&buf, block, sizeof(block)), 0);
		cr_assert_eq(buf_append(&buf, block, 100), 0);
		buf_consume(&buf, 612);
	}
	cr_assert_leq(buf.cap, 1024);
	buf_fini(&buf);
}
