#include "agent/cgroup/device_rules.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/file.h"
#include "common/mem.h"
#include "test/unit/agent/device_program.h"

#define INSNS_MAX 5000

struct rule {
	bool allow;
	char *type;
	int64_t major, minor;
	char *access;
};

static Grpc__LinuxDeviceCgroup messages[DEVICE_RULES_MAX + 1];
static Grpc__LinuxDeviceCgroup *pointers[DEVICE_RULES_MAX + 1];
static Grpc__LinuxResources resources = GRPC__LINUX_RESOURCES__INIT;

static const Grpc__LinuxResources *spec(const struct rule *rules, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		grpc__linux_device_cgroup__init(&messages[i]);
		messages[i].allow = rules[i].allow;
		messages[i].type = rules[i].type;
		messages[i].major = rules[i].major;
		messages[i].minor = rules[i].minor;
		messages[i].access = rules[i].access;
		pointers[i] = &messages[i];
	}
	resources.devices = pointers;
	resources.n_devices = n;
	return &resources;
}

static bool allowed(const struct rule *rules, size_t n, int type, unsigned int major,
                    unsigned int minor, int access)
{
	struct bpf_cgroup_dev_ctx ctx = { .access_type = access << 16 | type,
		                          .major = major,
		                          .minor = minor };
	autodestroy(bpf_program) struct bpf_program *program = NULL;

	cr_assert_eq(device_rules_compile(spec(rules, n), &program, NULL), 0);
	cr_assert_leq(program->n, INSNS_MAX);
	return device_program_run(program, &ctx);
}

#define CHAR  BPF_DEVCG_DEV_CHAR
#define BLOCK BPF_DEVCG_DEV_BLOCK
#define READ  BPF_DEVCG_ACC_READ
#define WRITE BPF_DEVCG_ACC_WRITE
#define MKNOD BPF_DEVCG_ACC_MKNOD

static const struct rule deny_all = { false, "", 0, 0, "rwm" };

Test(device_rules, the_default_devices_survive_a_rule_that_denies_all)
{
	cr_assert(allowed(&deny_all, 1, CHAR, 1, 3, READ | WRITE));
	cr_assert(allowed(&deny_all, 1, CHAR, 136, 77, READ | WRITE));
	cr_assert(allowed(&deny_all, 1, BLOCK, 8, 0, MKNOD));
	cr_assert_not(allowed(&deny_all, 1, BLOCK, 8, 0, READ));
	cr_assert_not(allowed(&deny_all, 1, CHAR, 1, 1, READ), "/dev/mem");
}

Test(device_rules, nothing_but_the_defaults_is_allowed_without_rules)
{
	cr_assert(allowed(NULL, 0, CHAR, 1, 5, READ));
	cr_assert_not(allowed(NULL, 0, BLOCK, 254, 0, READ));
}

Test(device_rules, the_last_rule_that_speaks_of_an_access_decides)
{
	const struct rule rules[] = {
		{ true, "b", 8, -1, "rw" },
		{ false, "b", 8, 1, "w" },
	};

	cr_assert(allowed(rules, 2, BLOCK, 8, 0, READ | WRITE));
	cr_assert(allowed(rules, 2, BLOCK, 8, 1, READ));
	cr_assert_not(allowed(rules, 2, BLOCK, 8, 1, WRITE));
	cr_assert_not(allowed(rules, 2, BLOCK, 8, 1, READ | WRITE));
	cr_assert_not(allowed(rules, 2, CHAR, 8, 0, READ));
}

Test(device_rules, accesses_may_be_allowed_by_different_rules)
{
	const struct rule rules[] = {
		{ true, "c", 10, 229, "r" },
		{ true, "c", 10, -1, "w" },
	};

	cr_assert(allowed(rules, 2, CHAR, 10, 229, READ | WRITE));
	cr_assert_not(allowed(rules, 2, CHAR, 10, 228, READ | WRITE));
}

Test(device_rules, an_absent_number_is_any_in_a_deny_and_0_in_an_allow)
{
	const struct rule rules[] = {
		{ true, "c", 10, -1, "r" },
		{ false, "c", 10, 0, "r" },
		{ true, "b", 8, 0, "r" },
	};

	cr_assert_not(allowed(rules, 3, CHAR, 10, 5, READ));
	cr_assert(allowed(rules, 3, BLOCK, 8, 0, READ));
	cr_assert_not(allowed(rules, 3, BLOCK, 8, 1, READ));
}

Test(device_rules, what_cannot_be_understood_is_named)
{
	const struct rule type = { true, "x", 1, 1, "r" }, access = { true, "c", 1, 1, "rx" },
			  number = { true, "c", 1 << 20, 1, "r" };
	struct error err;

	cr_assert_lt(device_rules_check(spec(&type, 1), &err), 0);
	cr_assert_not_null(strstr(err.text, "devices[0].type \"x\": expected"));
	cr_assert_lt(device_rules_check(spec(&access, 1), &err), 0);
	cr_assert_not_null(strstr(err.text, "devices[0].access \"rx\": expected"));
	cr_assert_lt(device_rules_check(spec(&number, 1), &err), 0);
	cr_assert_eq(err.code, ERROR_INVALID_ARGUMENT);
}

Test(device_rules, their_number_is_bounded)
{
	static struct rule rules[DEVICE_RULES_MAX + 1];

	for (size_t i = 0; i <= DEVICE_RULES_MAX; i++)
		rules[i] = deny_all;
	cr_assert_eq(device_rules_check(spec(rules, DEVICE_RULES_MAX), NULL), 0);
	cr_assert_lt(device_rules_check(spec(rules, DEVICE_RULES_MAX + 1), NULL), 0);
}

static void on_alarm(int sig)
{
}

Test(device_rules, signals_do_not_keep_a_program_from_being_loaded)
{
	const struct sigaction action = { .sa_handler = on_alarm };
	const struct itimerval often = { { 0, 2000 }, { 0, 2000 } };
	const struct itimerval never = { 0 };

	cr_assert_eq(sigaction(SIGALRM, &action, NULL), 0);
	cr_assert_eq(setitimer(ITIMER_REAL, &often, NULL), 0);
	for (int i = 0; i < 2000; i++) {
		struct error err = { 0 };

		autodestroy(device_program) struct device_program *none = device_program_create();

		cr_expect_lt(device_rules_attach(-1, NULL, none, &err), 0);
		cr_expect_null(strstr(err.text, "Resource temporarily unavailable"), "%s",
		               err.text);
	}
	cr_assert_eq(setitimer(ITIMER_REAL, &never, NULL), 0);
}

/* The number that the kernel has given to the program that this process holds; 0: none. */
static unsigned int held_program(void)
{
	unsigned int id = 0;

	for (int fd = 3; fd < 100 && !id; fd++) {
		autofree char *name = mem_printf("/proc/self/fdinfo/%d", fd);
		autofree char *text = NULL;
		const char *line;

		if (file_read(AT_FDCWD, name, 4096, &text, NULL) > 0 &&
		    (line = strstr(text, "prog_id:\t")))
			sscanf(line, "prog_id:\t%u", &id);
	}
	return id;
}

Test(device_rules, what_was_loaded_last_is_not_loaded_again)
{
	const struct rule rules[] = { deny_all, { true, "c", 10, 229, "rw" } };
	autodestroy(device_program) struct device_program *last = device_program_create();
	unsigned int first, again, other;

	device_rules_attach(-1, spec(rules, 2), last, NULL); /* to nothing */
	first = held_program();
	device_rules_attach(-1, spec(rules, 2), last, NULL);
	again = held_program();
	device_rules_attach(-1, spec(rules, 1), last, NULL);
	other = held_program();
	cr_assert(first, "the kernel loads no programs");
	cr_expect_eq(again, first);
	cr_expect_neq(other, first);
	cr_expect_neq(other, 0);
}
