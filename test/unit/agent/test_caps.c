#include "agent/launch/caps.h"

#include <criterion/criterion.h>

Test(caps, names_become_bits)
{
	char *names[] = { "CAP_CHOWN", "CAP_KILL", "CAP_SYS_ADMIN", "CAP_CHECKPOINT_RESTORE" };
	Grpc__LinuxCapabilities config = GRPC__LINUX_CAPABILITIES__INIT;
	struct caps caps;

	config.bounding = names;
	config.n_bounding = 4;
	config.effective = names;
	config.n_effective = 2;
	caps = caps_read(&config);
	cr_expect_eq(caps.bounding, 1 | UINT64_C(1) << 5 | UINT64_C(1) << 21 | UINT64_C(1) << 40);
	cr_expect_eq(caps.effective, 1 | 1 << 5);
	cr_expect_eq(caps.permitted, 0);
}

Test(caps, unknown_names_give_nothing)
{
	char *names[] = { "CAP_FLY", "", "KILL" };
	Grpc__LinuxCapabilities config = GRPC__LINUX_CAPABILITIES__INIT;

	config.ambient = names;
	config.n_ambient = 3;
	cr_expect_eq(caps_read(&config).ambient, 0);
}

Test(caps, no_capabilities_are_none)
{
	cr_expect_eq(caps_read(NULL).bounding, 0);
}
