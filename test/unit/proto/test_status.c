#include "proto/status.h"

#include <criterion/criterion.h>

Test(status, text_becomes_one_line_of_utf8)
{
	struct error err = { .code = ERROR_NOT_FOUND, .text = "a\nb \xc3\xa9 \xff \xed\xa0\x80" };
	struct status status;

	status_from_error(&status, &err);
	cr_assert_eq(status.message.code, 5);
	cr_assert_str_eq(status.message.message, "a b \xc3\xa9 ? ???");
}

Test(status, text_has_nothing_that_a_terminal_obeys)
{
	struct error err = { .code = ERROR_UNKNOWN,
		             .text = "\x1b[31m \xc2\x9b\x33\x31m \xc2\xa9\x7f" };
	struct status status;

	status_from_error(&status, &err);
	cr_assert_str_eq(status.message.message, " [31m   31m \xc2\xa9 ");
}

Test(status, a_sequence_cut_off_by_truncation_is_replaced)
{
	struct error err = { .code = ERROR_UNKNOWN, .text = "caf\xc3" };
	struct status status;

	status_from_error(&status, &err);
	cr_assert_str_eq(status.message.message, "caf?");
}

Test(status, of_the_wire_is_an_error_with_its_code)
{
	Google__Rpc__Status message = GOOGLE__RPC__STATUS__INIT;
	struct error err;

	status_to_error(NULL, &err);
	cr_assert_eq(err.code, ERROR_NONE);
	message.code = ERROR_FAILED_PRECONDITION;
	message.message = "not\trunning";
	status_to_error(&message, &err);
	cr_assert_eq(err.code, ERROR_FAILED_PRECONDITION);
	cr_assert_str_eq(err.text, "not running");
	message.code = 4711;
	status_to_error(&message, &err);
	cr_assert_eq(err.code, ERROR_UNKNOWN);
}
