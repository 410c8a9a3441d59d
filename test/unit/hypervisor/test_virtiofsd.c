#include "hypervisor/virtiofsd.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"

/* Beside a script that stands in for the daemon. */

static char dir[] = "/tmp/test-virtiofsd-XXXXXX";
static char *script;
static char *run_dir;
static struct ev_loop *loop;
static int lost_status = -1;
static struct error lost_err;

static void set_up(void)
{
	loop = ev_loop_new(0);
	cr_assert_not_null(mkdtemp(dir));
	script = mem_printf("%s/virtiofsd", dir);
	run_dir = mem_printf("%s/run", dir);
	cr_assert_eq(mkdir(run_dir, 0700), 0);
}

static void tear_down(void)
{
	cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1, "a child is left");
	cr_assert_eq(rmdir(run_dir), 0, "something is left in the run directory");
	cr_assert_eq(file_remove_tree(AT_FDCWD, dir, NULL), 0);
	ev_loop_destroy(loop);
	free(script);
	free(run_dir);
}

TestSuite(virtiofsd, .init = set_up, .fini = tear_down);

static void on_lost(void *ctx, int status, const struct error *err)
{
	lost_status = status;
	error_copy(&lost_err, err);
}

static struct virtiofsd *start(const char *text, const char *share_dir, enum vm_cache cache,
                               int *vmm_fd)
{
	const struct virtiofsd_config config = {
		.path = script,
		.share_dir = share_dir,
		.run_dir = run_dir,
		.cache = cache,
	};
	struct virtiofsd *virtiofsd = NULL;
	struct error err;

	cr_assert_eq(file_write(AT_FDCWD, script, 0755, text, strlen(text), NULL), 0);
	cr_assert_eq(virtiofsd_start(loop, &config, on_lost, NULL, &virtiofsd, vmm_fd, &err), 0,
	             "%s", err.text);
	return virtiofsd;
}

/* What a daemon was told, without its --fd=N. A text makes it the one in Rust. */
static void expect_told(const char *text, const char *share_dir, enum vm_cache cache,
                        const char *expected)
{
	autofree char *daemon =
		mem_printf("#!/bin/sh\nshift\nprintf %%s \"$*\" >&2\nexit 3\n%s", text);
	autoclose int vmm_fd = -1;
	struct virtiofsd *virtiofsd = start(daemon, share_dir, cache, &vmm_fd);

	ev_run(loop, 0);
	cr_assert(WIFEXITED(lost_status));
	cr_assert_eq(WEXITSTATUS(lost_status), 3);
	cr_assert_eq(lost_err.code, ERROR_UNAVAILABLE);
	cr_assert_str_eq(lost_err.text, expected);
	virtiofsd_destroy(virtiofsd);
}

static void expect_options(const char *share_dir, enum vm_cache cache, const char *expected)
{
	expect_told("", share_dir, cache, expected);
}

Test(virtiofsd, is_told_what_to_share)
{
	expect_options("/share", VM_CACHE_AUTO,
	               "virtiofsd exited with status 3: -o source=/share -o cache=always,timeout=1 "
	               "-o xattr -o sandbox=namespace -o announce_submounts");
}

Test(virtiofsd, is_told_what_may_be_cached)
{
	expect_options("/share", VM_CACHE_NEVER,
	               "virtiofsd exited with status 3: -o source=/share -o cache=none "
	               "-o xattr -o sandbox=namespace -o announce_submounts");
}

Test(virtiofsd, takes_a_path_with_commas_for_one_path)
{
	expect_options("/a,b\\c", VM_CACHE_ALWAYS,
	               "virtiofsd exited with status 3: -o source=/a\\,b\\\\c -o cache=always "
	               "-o xattr -o sandbox=namespace -o announce_submounts");
}

static void expect_options_in_rust(const char *share_dir, enum vm_cache cache,
                                   const char *cache_option)
{
	autofree char *expected = mem_printf(
		"virtiofsd exited with status 3: --shared-dir=%s %s --xattr --sandbox=namespace "
		"--announce-submounts --inode-file-handles=prefer --modcaps=+dac_read_search "
		"--log-level=warn",
		share_dir, cache_option);

	expect_told("# inode-file-handles\n", share_dir, cache, expected);
}

Test(virtiofsd, in_rust_has_options_of_its_own)
{
	expect_options_in_rust("/share", VM_CACHE_AUTO, "--cache=auto");
	expect_options_in_rust("/share", VM_CACHE_ALWAYS, "--cache=always");
	expect_options_in_rust("/a,b\\c", VM_CACHE_NEVER, "--cache=never");
}

Test(virtiofsd, serves_the_socket_that_the_vmm_has_already)
{
	static const char serve[] = "#!/usr/bin/python3\n"
				    "import socket, sys\n"
				    "s = socket.socket(fileno=int(sys.argv[1][5:]))\n"
				    "c, _ = s.accept()\n"
				    "c.sendall(c.recv(100).upper())\n"
				    "c.recv(1)\n";
	autoclose int vmm_fd = -1;
	struct virtiofsd *virtiofsd = start(serve, "/share", VM_CACHE_AUTO, &vmm_fd);
	char answer[10] = "";

	cr_assert_eq(write(vmm_fd, "hello", 5), 5);
	cr_assert_eq(read(vmm_fd, answer, sizeof(answer)), 5);
	cr_assert_str_eq(answer, "HELLO");
	cr_assert_eq(lost_status, -1);
	virtiofsd_destroy(virtiofsd);
}

Test(virtiofsd, is_killed_when_destroyed)
{
	autoclose int vmm_fd = -1;
	struct virtiofsd *virtiofsd =
		start("#!/bin/sh\nexec sleep 100\n", "/share", VM_CACHE_AUTO, &vmm_fd);

	virtiofsd_destroy(virtiofsd);
	ev_run(loop, EVRUN_NOWAIT);
	cr_assert_eq(lost_status, -1);
}

Test(virtiofsd, names_the_directory_whose_path_is_too_long_for_a_socket)
{
	autofree char *long_dir = mem_printf("%s/%0100d", dir, 0);
	const struct virtiofsd_config config = { .path = script, .run_dir = long_dir };
	struct virtiofsd *virtiofsd = NULL;
	struct error err;
	int vmm_fd = -1;

	cr_assert_eq(virtiofsd_start(loop, &config, on_lost, NULL, &virtiofsd, &vmm_fd, &err),
	             -EINVAL);
	cr_assert_not_null(strstr(err.text, "longer than 107 bytes"));
	cr_assert_eq(vmm_fd, -1);
}
