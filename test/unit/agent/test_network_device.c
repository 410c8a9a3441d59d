#include "agent/guest/network_device.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>

#include "common/error.h"
#include "common/mem.h"

TestSuite(network_device, .timeout = 120);

/* As sysfs shows it: a root port with a virtio card behind it, and a card on the root bus. */
Test(network_device, a_card_is_found_by_its_place_on_the_bus)
{
	static const struct {
		const char *path;
		int r;
		const char *name;
	} rows[] = {
		{ "03/00", 0, "eth0" },      { "03.0/00.0", 0, "eth0" }, { "04", 0, "ens4" },
		{ "05.1", 0, "ens5f1" },     { "03/01", -ENOENT, "" },   { "03", -ENOENT, "" },
		{ "06/00/00", -ENOENT, "" }, { "04/00", -ENOENT, "" },   { "", -EINVAL, "" },
		{ "03/", -EINVAL, "" },      { "/03", -EINVAL, "" },     { "20", -EINVAL, "" },
		{ "06/zz", -EINVAL, "" },    { "03.8", -EINVAL, "" },    { "../..", -EINVAL, "" },
		{ "003", -EINVAL, "" },
	};
	char root[] = "/tmp/test-network-XXXXXX";
	autofree char *make = NULL;
	autofree char *remove = NULL;
	struct error err;

	cr_assert_not_null(mkdtemp(root));
	make = mem_printf("cd %s; mkdir -p 0000:00:03.0/pci_bus/0000:01 "
	                  "0000:00:03.0/0000:01:00.0/virtio3/net/eth0 0000:00:04.0/net/ens4 "
	                  "0000:00:05.1/net/ens5f1",
	                  root);
	cr_assert_eq(system(make), 0); /* NOLINT: the test's own command */
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char name[IFNAMSIZ] = "";
		int r = network_device_find(root, rows[i].path, name, &err);

		cr_expect_eq(r, rows[i].r, "\"%s\": %d", rows[i].path, r);
		cr_expect_str_eq(name, rows[i].name, "\"%s\"", rows[i].path);
	}
	remove = mem_printf("rm -r %s", root);
	cr_assert_eq(system(remove), 0); /* NOLINT: as above */
}
