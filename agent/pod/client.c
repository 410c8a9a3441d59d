#include "agent/pod/client.h"

#include <string.h>

#include "agent/launch/namespaces.h"
#include "common/mem.h"

bool client_uses_calls(const struct client *client, const uint32_t ports[3])
{
	return !client->is_shim && !ports[0] && !ports[1] && !ports[2];
}

static void add_pid_namespace(Grpc__Linux *spec)
{
	Grpc__LinuxNamespace *namespace = mem_new(Grpc__LinuxNamespace);

	grpc__linux_namespace__init(namespace);
	namespace->type = mem_strdup("pid");
	spec->namespaces = mem_realloc(spec->namespaces, (spec->n_namespaces + 1) * sizeof(void *));
	spec->namespaces[spec->n_namespaces++] = namespace;
}

/* Without its row it is the guest's own, which is the pod's. */
static void share_namespace(Grpc__Linux *spec, const char *type)
{
	size_t kept = 0;

	for (size_t i = 0; i < spec->n_namespaces; i++) {
		Grpc__LinuxNamespace *namespace = spec->namespaces[i];

		if (!strcmp(namespace->type, type) && !*namespace->path)
			grpc__linux_namespace__free_unpacked(namespace, NULL);
		else
			spec->namespaces[kept++] = namespace;
	}
	spec->n_namespaces = kept;
}

void client_complete_namespaces(const struct client *client, Grpc__CreateContainerRequest *request)
{
	Grpc__Linux *spec = request->oci->linux;

	if (client->is_shim || !spec)
		return;
	if (!namespaces_has(request->oci, NAMESPACE_PID) && !request->sandbox_pidns)
		add_pid_namespace(spec);
	if (!spec->n_sysctl)
		share_namespace(spec, "ipc");
	if (!spec->n_sysctl && !*request->oci->hostname)
		share_namespace(spec, "uts");
}
