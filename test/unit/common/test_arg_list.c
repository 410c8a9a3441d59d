#include "common/arg_list.h"

#include <criterion/criterion.h>

#include "common/mem.h"

Test(arg_list, gives_the_arguments_in_order)
{
	struct arg_list list = ARG_LIST_INIT(100);
	autofree char **argv = NULL;

	arg_list_add(&list, "ls");
	arg_list_print(&list, "--width=%d", 80);
	arg_list_print(&list, "%s", ",x");
	arg_list_end(&list);
	arg_list_add(&list, "");
	arg_list_add(&list, "a b");
	argv = arg_list_finish(&list);
	cr_assert_str_eq(argv[0], "ls");
	cr_assert_str_eq(argv[1], "--width=80,x");
	cr_assert_str_eq(argv[2], "");
	cr_assert_str_eq(argv[3], "a b");
	cr_assert_null(argv[4]);
}

Test(arg_list, may_be_empty)
{
	struct arg_list list = ARG_LIST_INIT(100);
	autofree char **argv = arg_list_finish(&list);

	cr_assert_null(argv[0]);
}

Test(arg_list, that_passes_its_maximum_gives_nothing_and_starts_anew)
{
	struct arg_list list = ARG_LIST_INIT(8);
	autofree char **argv = NULL;

	arg_list_add(&list, "12345");
	arg_list_add(&list, "678");
	cr_assert_null(arg_list_finish(&list));
	arg_list_add(&list, "1234567");
	argv = arg_list_finish(&list);
	cr_assert_str_eq(argv[0], "1234567");
	cr_assert_null(argv[1]);
}
