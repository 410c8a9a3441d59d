#include "shim/network/nameservers.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/file.h"
#include "common/mem.h"

static void expect(const char *text, const char *addresses)
{
	struct nameservers found;
	autofree char *said = mem_strdup("");

	nameservers_parse(text, &found);
	for (size_t i = 0; i < found.n; i++) {
		char *more = mem_printf("%s%s ", said, inet_ntoa(found.all[i]));

		free(said);
		said = more;
	}
	cr_expect_str_eq(said, addresses, "%s", text);
}

Test(nameservers, those_of_the_loopback_are_found)
{
	expect("nameserver 127.0.0.11\nsearch a b\noptions ndots:0\n", "127.0.0.11 ");
	expect("# x\nnameserver\t127.0.0.53 # y\r\nnameserver 127.1.2.3", "127.0.0.53 127.1.2.3 ");
	expect("  nameserver 127.0.0.11  ", "127.0.0.11 ");
}

Test(nameservers, others_are_not_the_hosts_to_give)
{
	expect("", "");
	expect("nameserver 10.0.0.1\nnameserver 8.8.8.8\nnameserver ::1\nnameserver 128.0.0.11\n",
	       "");
	expect("nameserver 127.0.0.1\n", "");
	expect("nameserver 127.0.0.11.1\nnameserver 0x7f.0.0.11\nnameserver 127.11\nnameserver\n",
	       "");
	expect("#nameserver 127.0.0.11\nnameservers 127.0.0.11\n;nameserver 127.0.0.11\n", "");
}

Test(nameservers, each_is_there_once_and_the_first_three)
{
	expect("nameserver 127.0.0.2\nnameserver 127.0.0.2\nnameserver 127.0.0.3\n"
	       "nameserver 127.0.0.4\nnameserver 127.0.0.5\n",
	       "127.0.0.2 127.0.0.3 127.0.0.4 ");
}

Test(nameservers, a_file_is_read_and_what_is_none_is_an_error)
{
	char dir[] = "/tmp/nameservers.XXXXXX";
	autofree char *file = NULL, *fifo = NULL;
	struct nameservers found;
	struct error err;

	cr_assert_not_null(mkdtemp(dir));
	file = mem_printf("%s/file", dir);
	fifo = mem_printf("%s/fifo", dir);
	cr_assert_eq(file_write(AT_FDCWD, file, 0644, "nameserver 127.0.0.11\n", 22, NULL), 0);
	cr_assert_eq(mkfifo(fifo, 0600), 0);
	cr_expect_eq(nameservers_read(file, &found, &err), 0);
	cr_expect_eq(found.n, 1);
	cr_expect_lt(nameservers_read(fifo, &found, &err), 0);
	cr_expect_lt(nameservers_read("/tmp", &found, &err), 0);
	cr_expect_lt(nameservers_read("/nowhere/resolv.conf", &found, &err), 0);
	cr_expect_eq(err.code, ERROR_NOT_FOUND);
	file_remove_tree(AT_FDCWD, dir, NULL);
}
