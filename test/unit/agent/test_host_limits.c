#include "agent/pod/host_limits.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/file.h"
#include "common/mem.h"

#define LIST_MAX 4

/* A directory in place of /proc/sys, and a request with what the test adds. */
static struct {
	char dir[64];
	Grpc__CreateSandboxRequest request;
	Grpc__POSIXRlimit rlimits[LIST_MAX];
	Grpc__POSIXRlimit *rlimit_list[LIST_MAX];
	Grpc__CreateSandboxRequest__HostSysctlsEntry sysctls[LIST_MAX];
	Grpc__CreateSandboxRequest__HostSysctlsEntry *sysctl_list[LIST_MAX];
} bench;

static void put(const char *name, const char *text)
{
	autofree char *path = mem_printf("%s/%s", bench.dir, name);
	FILE *file = fopen(path, "we");

	cr_assert(file, "%s", path);
	fputs(text, file);
	fclose(file);
}

static void assert_has(const char *name, const char *text)
{
	autofree char *path = mem_printf("%s/%s", bench.dir, name);
	autofree char *has = NULL;

	cr_assert_geq(file_read(AT_FDCWD, path, 100, &has, NULL), 0);
	cr_assert_str_eq(has, text, "%s: '%s'", name, has);
}

static void setup(void)
{
	bench.request = (Grpc__CreateSandboxRequest)GRPC__CREATE_SANDBOX_REQUEST__INIT;
	bench.request.host_rlimits = bench.rlimit_list;
	bench.request.host_sysctls = bench.sysctl_list;
	strcpy(bench.dir, "/tmp/kata-limits-XXXXXX");
	cr_assert(mkdtemp(bench.dir));
	for (int i = 0; i < 2; i++) {
		autofree char *path = mem_printf("%s/%s", bench.dir, i ? "fs" : "vm");

		cr_assert_eq(mkdir(path, 0755), 0);
	}
	put("fs/nr_open", "1048576\n");
}

static void teardown(void)
{
	file_remove_tree(AT_FDCWD, bench.dir, NULL);
}

TestSuite(host_limits, .init = setup, .fini = teardown);

static void add_rlimit(const char *type, uint64_t soft, uint64_t hard)
{
	Grpc__POSIXRlimit *row = &bench.rlimits[bench.request.n_host_rlimits];

	grpc__posixrlimit__init(row);
	row->type = (char *)type;
	row->soft = soft;
	row->hard = hard;
	bench.rlimit_list[bench.request.n_host_rlimits++] = row;
}

static void add_sysctl(const char *key, const char *value)
{
	Grpc__CreateSandboxRequest__HostSysctlsEntry *row =
		&bench.sysctls[bench.request.n_host_sysctls];

	grpc__create_sandbox_request__host_sysctls_entry__init(row);
	row->key = (char *)key;
	row->value = (char *)value;
	bench.sysctl_list[bench.request.n_host_sysctls++] = row;
}

static struct host_limits *create(void)
{
	struct host_limits *limits = NULL;
	struct error err;

	cr_assert_eq(host_limits_create(&bench.request, bench.dir, &limits, &err), 0, "%s",
	             err.text);
	return limits;
}

Test(host_limits, settings_are_raised_and_never_lowered)
{
	put("vm/max_map_count", "65530\n");
	put("fs/file-max", "200000\n");
	add_sysctl("vm.max_map_count", "262144");
	add_sysctl("fs.file-max", "100000");
	host_limits_destroy(create());
	assert_has("vm/max_map_count", "262144");
	assert_has("fs/file-max", "200000\n");
}

Test(host_limits, a_setting_that_is_not_there_or_no_number_changes_nothing)
{
	put("vm/words", "always madvise\n");
	put("vm/pair", "1 2\n");
	put("outside", "1\n");
	add_sysctl("vm.words", "5");
	add_sysctl("vm.pair", "5");
	add_sysctl("vm.nosuch", "5");
	add_sysctl("vm/../outside", "5");
	host_limits_destroy(create());
	assert_has("vm/words", "always madvise\n");
	assert_has("vm/pair", "1 2\n");
	assert_has("outside", "1\n");
}

static const Grpc__POSIXRlimit *find(Grpc__POSIXRlimit **rows, size_t n, const char *type)
{
	const Grpc__POSIXRlimit *found = NULL;

	for (size_t i = 0; i < n; i++) {
		if (strcmp(rows[i]->type, type) != 0)
			continue;
		cr_assert_not(found, "%s comes twice", type);
		found = rows[i];
	}
	cr_assert(found, "no %s", type);
	return found;
}

Test(host_limits, are_those_that_a_process_does_not_name)
{
	Grpc__Process process = GRPC__PROCESS__INIT;
	Grpc__POSIXRlimit own = GRPC__POSIXRLIMIT__INIT;
	Grpc__POSIXRlimit *owns[] = { &own };
	struct host_limits *limits;

	own.type = "RLIMIT_NPROC";
	own.soft = own.hard = 7;
	process.rlimits = owns;
	process.n_rlimits = 1;
	add_rlimit("RLIMIT_NPROC", 96365, 96365);
	add_rlimit("RLIMIT_CORE", 0, UINT64_MAX);
	limits = create();
	autofree Grpc__POSIXRlimit **all = host_limits_complete(limits, &process, &process);
	cr_assert_eq(process.n_rlimits, 2);
	cr_assert_eq(find(all, 2, "RLIMIT_NPROC")->hard, 7);
	cr_assert_eq(find(all, 2, "RLIMIT_CORE")->hard, UINT64_MAX);
	cr_assert_eq(host_limits_complete(limits, &process, &process), process.rlimits);
	cr_assert_eq(process.n_rlimits, 2, "there is nothing left to add");
	free(process.rlimits);
	host_limits_destroy(limits);
}

Test(host_limits, without_any_are_those_of_the_process)
{
	Grpc__Process process = GRPC__PROCESS__INIT;
	autofree Grpc__POSIXRlimit **all = host_limits_complete(NULL, &process, &process);

	cr_assert_eq(process.n_rlimits, 0);
}

Test(host_limits, of_open_files_are_no_more_than_the_kernel_takes)
{
	Grpc__Process process = GRPC__PROCESS__INIT;
	struct host_limits *limits;

	add_rlimit("RLIMIT_NOFILE", 1024, 1073741816);
	limits = create();
	autofree Grpc__POSIXRlimit **all = host_limits_complete(limits, &process, &process);
	cr_assert_eq(find(all, 1, "RLIMIT_NOFILE")->hard, 1048576);
	cr_assert_eq(find(all, 1, "RLIMIT_NOFILE")->soft, 1024);
	host_limits_destroy(limits);
}

Test(host_limits, of_an_unknown_resource_are_refused)
{
	struct host_limits *limits = NULL;
	struct error err;

	add_rlimit("RLIMIT_SLEEP", 1, 1);
	cr_assert_lt(host_limits_create(&bench.request, bench.dir, &limits, &err), 0);
	cr_assert_eq(err.code, ERROR_INVALID_ARGUMENT);
	cr_assert(strstr(err.text, "RLIMIT_SLEEP"), "%s", err.text);
}
