#include "agent/pod/client.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/mem.h"
#include "proto/message.h"

#define NAMES_MAX 64

static const struct client shim = { .is_shim = true };
static const struct client other = { .is_shim = false };

/* Completes a spec with these namespaces, and says which there are then. @names: "pid ipc"; one with
 * a path is "ipc=/path". */
static void complete(const struct client *client, const char *names,
                     Grpc__CreateContainerRequest *request, char out[NAMES_MAX])
{
	autofree char *copy = mem_strdup(names);
	Grpc__Spec *spec = request->oci;
	Grpc__Linux *config = mem_new(Grpc__Linux);
	char *rest = copy;
	char *name;

	grpc__linux__init(config);
	if (spec->linux) {
		config->sysctl = take_ptr(&spec->linux->sysctl);
		config->n_sysctl = spec->linux->n_sysctl;
		spec->linux->n_sysctl = 0;
		grpc__linux__free_unpacked(spec->linux, NULL);
	}
	spec->linux = config;
	while ((name = strsep(&rest, " "))) {
		Grpc__LinuxNamespace *row = mem_new(Grpc__LinuxNamespace);
		const char *type = strsep(&name, "=");

		grpc__linux_namespace__init(row);
		row->type = mem_strdup(type);
		if (name)
			row->path = mem_strdup(name);
		config->namespaces = mem_realloc(config->namespaces,
		                                 (config->n_namespaces + 1) * sizeof(void *));
		config->namespaces[config->n_namespaces++] = row;
	}
	client_complete_namespaces(client, request);
	out[0] = '\0';
	for (size_t i = 0, len = 0; i < config->n_namespaces && len < NAMES_MAX; i++)
		len += (size_t)snprintf(out + len, NAMES_MAX - len, "%s%s", i ? " " : "",
		                        config->namespaces[i]->type);
}

static Grpc__CreateContainerRequest *new_request(void)
{
	Grpc__CreateContainerRequest *request = mem_new(Grpc__CreateContainerRequest);

	grpc__create_container_request__init(request);
	request->oci = mem_new(Grpc__Spec);
	grpc__spec__init(request->oci);
	return request;
}

static void expect(const struct client *client, const char *names,
                   Grpc__CreateContainerRequest *request, const char *wanted)
{
	char got[NAMES_MAX];

	complete(client, names, request, got);
	cr_expect_str_eq(got, wanted);
}

Test(client, uses_calls_where_it_names_no_port_and_is_no_shim)
{
	static const uint32_t none[3], one[3] = { 0, 7, 0 };

	cr_expect(client_uses_calls(&other, none));
	cr_expect_not(client_uses_calls(&other, one));
	cr_expect_not(client_uses_calls(&shim, none));
	cr_expect_not(client_uses_calls(&shim, one));
}

Test(client, a_shim_s_spec_says_what_it_means)
{
	Grpc__CreateContainerRequest *request = new_request();

	expect(&shim, "mount ipc uts", request, "mount ipc uts");
	message_free(&request->base);
}

Test(client, another_s_container_has_a_pid_namespace_of_its_own)
{
	Grpc__CreateContainerRequest *request = new_request();

	expect(&other, "mount", request, "mount pid");
	expect(&other, "pid mount", request, "pid mount");
	request->sandbox_pidns = 1;
	expect(&other, "mount", request, "mount");
	message_free(&request->base);
}

Test(client, another_s_containers_share_ipc_and_uts)
{
	Grpc__CreateContainerRequest *request = new_request();

	expect(&other, "pid ipc uts mount", request, "pid mount");
	expect(&other, "pid ipc=/a uts=/b", request, "pid ipc uts");
	request->oci->hostname = mem_strdup("h");
	expect(&other, "pid ipc uts", request, "pid uts");
	message_free(&request->base);
}

Test(client, settings_of_a_namespace_take_one_of_their_own)
{
	Grpc__CreateContainerRequest *request = new_request();
	Grpc__Linux *config = request->oci->linux = mem_new(Grpc__Linux);

	grpc__linux__init(config);
	config->sysctl = mem_new(Grpc__Linux__SysctlEntry *);
	config->sysctl[0] = mem_new(Grpc__Linux__SysctlEntry);
	grpc__linux__sysctl_entry__init(config->sysctl[0]);
	config->n_sysctl = 1;
	expect(&other, "pid ipc uts", request, "pid ipc uts");
	message_free(&request->base);
}

Test(client, a_spec_without_a_linux_part_stays_without)
{
	Grpc__CreateContainerRequest *request = new_request();

	client_complete_namespaces(&other, request);
	cr_expect_null(request->oci->linux);
	message_free(&request->base);
}
