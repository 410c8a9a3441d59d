#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "common/mem.h"
#include "shim/pod/pod_files.h"
#include "shim/spec/guest_paths.h"
#include "shim/spec/spec.h"

static char dir[] = "/tmp/pod-files.XXXXXX";
static struct pod_files *files;

static void setup(void)
{
	const struct pod_files_config config = { .id = "p", .dir = dir, .hostname = "h" };
	struct error err;

	cr_assert(mkdtemp(dir));
	cr_assert_eq(pod_files_create(&config, &files, &err), 0, "%s", err.text);
}

static void teardown(void)
{
	autofree char *command = mem_printf("rm -r %s", dir);

	pod_files_destroy(files);
	cr_expect_eq(system(command), 0);
}

TestSuite(pod_files, .init = setup, .fini = teardown);

static Grpc__Spec *bind_in(const char *root, const char *mounts)
{
	autofree char *text = mem_printf("{\"ociVersion\":\"1.0\",\"process\":{\"args\":[\"a\"],"
	                                 "\"cwd\":\"/\"},\"root\":{%s},\"mounts\":[%s]}",
	                                 root, mounts);
	Grpc__Spec *spec = NULL;
	struct error err;

	cr_assert_eq(spec_parse(text, strlen(text), &spec, &err), 0, "%s", err.text);
	pod_files_bind(files, spec);
	return spec;
}

/* All that is at @destination: "type source option …", or the empty text. */
static const char *at(const Grpc__Spec *spec, const char *destination)
{
	static char text[300];
	int len = 0;

	text[0] = '\0';
	for (size_t i = 0; i < spec->n_mounts; i++) {
		const Grpc__Mount *mount = spec->mounts[i];

		if (strcmp(mount->destination, destination) != 0)
			continue;
		len += snprintf(text + len, sizeof(text) - (size_t)len, "%s %s", mount->type,
		                mount->source);
		for (size_t j = 0; j < mount->n_options; j++)
			len += snprintf(text + len, sizeof(text) - (size_t)len, " %s",
			                mount->options[j]);
	}
	return text;
}

Test(pod_files, a_container_gets_what_it_does_not_name)
{
	autodestroy(spec) Grpc__Spec *spec = bind_in("\"path\":\"r\"", "");
	autofree char *hosts = mem_printf("bind %s/hosts rbind rprivate rw", dir);
	autofree char *hostname = mem_printf("bind %s/hostname rbind rprivate rw", dir);
	autofree char *resolv_conf = mem_printf("bind %s/resolv.conf rbind rprivate rw", dir);

	cr_expect_str_eq(at(spec, "/etc/hosts"), hosts);
	cr_expect_str_eq(at(spec, "/etc/hostname"), hostname);
	cr_expect_str_eq(at(spec, "/etc/resolv.conf"), resolv_conf);
	cr_expect_str_eq(at(spec, "/dev/shm"), "bind " GUEST_SHM " rbind rprivate rw");
}

Test(pod_files, they_are_read_only_as_the_root_is)
{
	autodestroy(spec) Grpc__Spec *spec = bind_in("\"path\":\"r\",\"readonly\":true", "");
	autofree char *hosts = mem_printf("bind %s/hosts rbind rprivate ro", dir);

	cr_expect_str_eq(at(spec, "/etc/hosts"), hosts);
	cr_expect_str_eq(at(spec, "/dev/shm"), "bind " GUEST_SHM " rbind rprivate rw");
}

Test(pod_files, what_it_names_stays)
{
	autodestroy(spec) Grpc__Spec *spec =
		bind_in("\"path\":\"r\"",
	                "{\"destination\":\"/etc/hosts\",\"type\":\"bind\",\"source\":\"/k/hosts\","
	                "\"options\":[\"rbind\"]},"
	                "{\"destination\":\"/dev/shm\",\"type\":\"bind\",\"source\":\"/k/shm\","
	                "\"options\":[\"rbind\"]}");

	cr_expect_str_eq(at(spec, "/etc/hosts"), "bind /k/hosts rbind");
	cr_expect_str_eq(at(spec, "/dev/shm"), "bind /k/shm rbind");
	cr_expect_eq(spec->n_mounts, 4);
}

Test(pod_files, a_default_shm_is_the_pods)
{
	autodestroy(spec) Grpc__Spec *spec =
		bind_in("\"path\":\"r\"", "{\"destination\":\"/dev/shm\",\"type\":\"tmpfs\","
	                                  "\"source\":\"shm\",\"options\":[\"size=65536k\"]}");

	cr_expect_str_eq(at(spec, "/dev/shm"), "bind " GUEST_SHM " rbind rprivate rw");
}

/* containerd 1.7 does so. */
Test(pod_files, what_a_client_has_not_made_is_the_pods)
{
	autodestroy(spec) Grpc__Spec *spec = bind_in(
		"\"path\":\"r\"", "{\"destination\":\"/etc/hosts\",\"type\":\"bind\","
				  "\"source\":\"/x/sandboxes/p/hosts\",\"options\":[\"rbind\"]},"
				  "{\"destination\":\"/dev/shm\",\"type\":\"bind\","
				  "\"source\":\"/x/sandboxes/p/shm\",\"options\":[\"rbind\"]},"
				  "{\"destination\":\"/etc/hostname\",\"type\":\"bind\","
				  "\"source\":\"/x/sandboxes/q/hostname\"}");
	autofree char *hosts = mem_printf("bind %s/hosts rbind rprivate rw", dir);

	cr_expect_str_eq(at(spec, "/etc/hosts"), hosts);
	cr_expect_str_eq(at(spec, "/dev/shm"), "bind " GUEST_SHM " rbind rprivate rw");
	cr_expect_str_eq(at(spec, "/etc/hostname"), "bind /x/sandboxes/q/hostname");
}
