#include "shim/config/config.h"
#include "shim/config/config_load.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/error.h"
#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "shim/config/config_keys.h"
#include "shim/config/install.h"

static char dir[] = "/tmp/config-XXXXXX";
static struct install *install;

static void setup(void)
{
	struct error err = { 0 };

	cr_assert(mkdtemp(dir));
	cr_assert_eq(install_find(NULL, &install, &err), 0, "%s", err.text);
	unsetenv("KATA_CONF_FILE");
}

static void teardown(void)
{
	install_destroy(install);
	cr_expect_eq(file_remove_tree(AT_FDCWD, dir, NULL), 0);
}

TestSuite(config, .init = setup, .fini = teardown);

static char *write_file(const char *name, const char *text)
{
	char *path = mem_printf("%s/%s", dir, name);
	struct error err = { 0 };

	cr_assert_eq(file_write(AT_FDCWD, path, 0644, text, strlen(text), &err), 0, "%s", err.text);
	return path;
}

static struct config *load(const struct config_source *source)
{
	struct config *config = NULL;
	struct error err = { 0 };

	cr_assert_eq(config_load(source, install, &config, &err), 0, "%s", err.text);
	return config;
}

static struct config *load_text(const char *text)
{
	const struct config_source source = { .body = text, .body_len = strlen(text) };

	return load(&source);
}

static void expect_failure(const char *text, const char *expected)
{
	const struct config_source source = { .body = text, .body_len = strlen(text) };
	struct config *config = NULL;
	struct error err = { 0 };

	cr_expect_eq(config_load(&source, install, &config, &err), -EINVAL, "%s", text);
	cr_expect_str_eq(err.text, expected);
	cr_expect_null(config);
}

Test(config, has_a_value_for_everything)
{
	autodestroy(config) struct config *config = load_text("");

	cr_expect_str_eq(config->kernel, install->kernel);
	cr_expect_str_eq(config->initrd, install->initramfs);
	cr_expect_str_eq(config->vmm_path, install->vmm);
	cr_expect_str_eq(config->virtiofsd_path, install->virtiofsd);
	cr_expect_str_eq(config->kernel_params, "");
	cr_expect_eq(config->accel, VM_ACCEL_AUTO);
	cr_expect_eq(config->network_model, NETWORK_MODEL_TCFILTER);
	cr_expect_eq(config->virtiofs_cache, VM_CACHE_AUTO);
	cr_expect_eq(config->vcpus, 1);
	cr_expect_eq(config->memory_mib, 2048);
	cr_expect_eq(config->boot_timeout_ms, 60000);
	cr_expect_eq(config->stdio_exit_timeout_ms, 400);
	cr_expect_eq(config->stdio_stall_timeout_ms, 5000);
	cr_expect_not(config->debug);
	cr_expect_not(config->disable_vhost_net);
	cr_expect_not(config->disable_block_device_use);
	cr_expect_not(config->enable_hugepages);
}

Test(config, reads_the_keys_of_upstream)
{
	autodestroy(config) struct config *config =
		load_text("[hypervisor.qemu]\n"
	                  "path = \"/opt/qemu\"\n"
	                  "kernel = \"/k\"\n"
	                  "kernel_params = \"a=b c\"\n"
	                  "default_vcpus = -1\n"
	                  "default_memory = 512\n"
	                  "virtio_fs_cache = \"never\"\n"
	                  "disable_vhost_net = true\n"
	                  "disable_block_device_use = true\n"
	                  "enable_hugepages = true\n"
	                  "rx_rate_limiter_max_rate = 10000000000\n"
	                  "accel = 'tcg'\n"
	                  "enable_debug = true\n"
	                  "[agent.kata]\n"
	                  "dial_timeout = 45\n"
	                  "[runtime]\n"
	                  "enable_debug = true\n"
	                  "internetworking_model = \"none\"\n"
	                  "[timeouts]\n"
	                  "mount_ms = 1\n");

	cr_expect_str_eq(config->vmm_path, "/opt/qemu");
	cr_expect_str_eq(config->kernel, "/k");
	cr_expect_str_eq(config->kernel_params, "a=b c");
	cr_expect_eq(config->vcpus, -1);
	cr_expect_eq(config->memory_mib, 512);
	cr_expect_eq(config->virtiofs_cache, VM_CACHE_NEVER);
	cr_expect(config->disable_vhost_net);
	cr_expect(config->disable_block_device_use);
	cr_expect(config->enable_hugepages);
	cr_expect_eq(config->rx_bits_per_s, 10000000000);
	cr_expect_eq(config->tx_bits_per_s, 0);
	cr_expect_eq(config->accel, VM_ACCEL_TCG);
	cr_expect(config->vmm_debug);
	cr_expect_eq(config->boot_timeout_ms, 45000);
	cr_expect(config->debug);
	cr_expect_eq(config->network_model, NETWORK_MODEL_NONE);
	cr_expect_eq(config->mount_timeout_ms, 1);
	cr_expect_null(config->file);
}

Test(config, stops_at_a_wrong_value_with_its_line)
{
	expect_failure("[hypervisor.qemu]\n\ndefault_memory = \"2G\"\n",
	               "runtime options:3: hypervisor.qemu.default_memory: expected "
	               "an integer from 128 to 16777216");
	expect_failure("[hypervisor.qemu]\ndefault_memory = 64\n",
	               "runtime options:2: hypervisor.qemu.default_memory: expected "
	               "an integer from 128 to 16777216");
	expect_failure("[hypervisor.qemu]\nkernel = \"vmlinuz\"\n",
	               "runtime options:2: hypervisor.qemu.kernel: expected an "
	               "absolute path");
	expect_failure("[hypervisor.qemu]\nkernel_params = 3\n",
	               "runtime options:2: hypervisor.qemu.kernel_params: expected a "
	               "string");
	expect_failure("[hypervisor.qemu]\nvirtio_fs_cache = \"none\"\n",
	               "runtime options:2: hypervisor.qemu.virtio_fs_cache: expected "
	               "\"never\" or \"auto\" or \"always\"");
	expect_failure("[hypervisor.qemu]\ntx_rate_limiter_max_rate = -1\n",
	               "runtime options:2: hypervisor.qemu.tx_rate_limiter_max_rate: expected "
	               "an integer of 0 or more");
	expect_failure("[hypervisor.qemu]\nshared_fs = \"virtio-9p\"\n",
	               "runtime options:2: hypervisor.qemu.shared_fs: expected "
	               "\"virtio-fs\"");
	expect_failure("[runtime]\nenable_debug = 1\n",
	               "runtime options:2: runtime.enable_debug: expected true or "
	               "false");
	expect_failure("timeouts.kill_ms = 0\n",
	               "runtime options:1: timeouts.kill_ms: expected an integer "
	               "from 1 to 86400000");
	expect_failure("[runtime\n", "runtime options:1: expected ']', found the end "
	                             "of the line");
}

Test(config, warns_of_an_unknown_key_and_goes_on)
{
	char text[4096] = "";
	int ends[2];

	cr_assert_eq(pipe(ends), 0);
	log_open(ends[1]);
	config_destroy(
		load_text("x = 1\n[hypervisor.qemu]\nimage = \"\"\n[hypervisor.clh]\n"
	                  "path = \"\"\n[factory]\nenable_template = true\n[[agent.kata.x]]\n"));
	log_open(-1);
	cr_assert_gt(read(ends[0], text, sizeof(text) - 1), 0);
	cr_expect(strstr(text, "runtime options:1: unknown key x is ignored"), "%s", text);
	cr_expect(strstr(text, "runtime options:3: unknown key hypervisor.qemu.image is ignored"));
	cr_expect(strstr(text, "runtime options:4: unknown key hypervisor.clh is ignored"));
	cr_expect(strstr(text, "runtime options:6: unknown key factory is ignored"));
	cr_expect(strstr(text, "runtime options:8: unknown key agent.kata.x is ignored"));
	close(ends[0]);
}

Test(config, prefers_the_runtime_options_to_the_environment)
{
	autofree char *options = write_file("options.toml", "timeouts.mount_ms = 1");
	autofree char *environment = write_file("environment.toml", "timeouts.mount_ms = 2");
	const struct config_source source = { .path = options };
	struct config *config;

	setenv("KATA_CONF_FILE", environment, 1);
	config = load(&source);
	cr_expect_str_eq(config->file, options);
	cr_expect_eq(config->mount_timeout_ms, 1);
	config_destroy(config);
	config = load(&(struct config_source){ 0 });
	cr_expect_str_eq(config->file, environment);
	cr_expect_eq(config->mount_timeout_ms, 2);
	config_destroy(config);
	config = load_text("timeouts.mount_ms = 3");
	cr_expect_eq(config->mount_timeout_ms, 3);
	config_destroy(config);
}

Test(config, names_a_file_that_is_asked_for_and_not_there)
{
	const struct config_source source = { .path = "/nosuch.toml" };
	struct config *config = NULL;
	struct error err = { 0 };

	cr_expect_eq(config_load(&source, install, &config, &err), -ENOENT);
	cr_expect_str_eq(err.text, "cannot open \"/nosuch.toml\": No such file or directory");
}

Test(config, takes_drop_ins_in_the_order_of_their_names)
{
	autofree char *drop_ins = mem_printf("%s/config.d", dir);
	autofree char *file =
		write_file("configuration.toml", "[timeouts]\nmount_ms = 1\nkill_ms = 1\n"
	                                         "agent_ms = 1\n");
	autofree char *expected = mem_printf("%s/config.d/30-c:1: timeouts.mount_ms: "
	                                     "expected an integer from 1 to 86400000",
	                                     dir);
	const struct config_source source = { .path = file };
	struct config *config;
	struct error err = { 0 };

	cr_assert_eq(mkdir(drop_ins, 0755), 0);
	free(write_file("config.d/20-b.toml", "[timeouts]\nmount_ms = 3"));
	free(write_file("config.d/10-a", "[timeouts]\nmount_ms = 2\nkill_ms = 2"));
	free(write_file("config.d/.hidden", "nonsense"));
	config = load(&source);
	cr_expect_eq(config->mount_timeout_ms, 3);
	cr_expect_eq(config->kill_timeout_ms, 2);
	cr_expect_eq(config->agent_timeout_ms, 1);
	config_destroy(config);
	free(write_file("config.d/30-c", "timeouts.mount_ms = 'x'"));
	cr_expect_eq(config_load(&source, install, &config, &err), -EINVAL);
	cr_expect_str_eq(err.text, expected);
}

Test(config, keys_stand_together_by_table)
{
	for (const struct config_key *key = config_keys; key->name; key++)
		for (const struct config_key *later = key + 1; later->name; later++) {
			cr_expect(strcmp(key->table, later->table) != 0 ||
			                  strcmp(key->name, later->name) != 0,
			          "%s twice", key->name);
			if (!strcmp(key->table, later->table))
				cr_expect_str_eq((later - 1)->table, key->table);
		}
}
