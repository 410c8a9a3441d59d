#include "shim/spec/cri.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "common/json.h"
#include "shim/spec/spec.h"

struct names {
	const char *type;
	const char *sandbox_id;
	/* Decimal numbers; NULL: it has none. */
	const char *cpu_quota;
	const char *cpu_period;
	const char *cpu_shares;
	const char *memory;
	/* JSON with all of them, the newer name first; NULL, the same. */
	const char *resources[2];
	bool options_come_late;
};

#define CONTAINERD(name) "io.kubernetes.cri." name
#define CRIO(name)       "io.kubernetes.cri-o." name

/* clang-format off */
static const struct names implementations[] = {
	{ .type = CONTAINERD("container-type"), .sandbox_id = CONTAINERD("sandbox-id"),
	  .cpu_quota = CONTAINERD("sandbox-cpu-quota"), .cpu_period = CONTAINERD("sandbox-cpu-period"),
	  .cpu_shares = CONTAINERD("sandbox-cpu-shares"), .memory = CONTAINERD("sandbox-memory") },
	{ .type = CRIO("ContainerType"), .sandbox_id = CRIO("SandboxID"),
	  .resources = { "pod-linux-resources.crio.io", CRIO("PodLinuxResources") },
	  .options_come_late = true },
};
/* clang-format on */

static int64_t number(const Grpc__Spec *spec, const char *key)
{
	const char *text = key ? spec_annotation(spec, key) : NULL;
	long long value;
	char *end;

	if (!text)
		return 0;
	errno = 0;
	value = strtoll(text, &end, 10);
	return errno || *end ? 0 : value;
}

/* LinuxContainerResources of the CRI (runtime.v1), as Go writes it. */
static void read_resources(const char *text, struct cri *out)
{
	json_t *json = NULL;

	if (json_parse("resources", text, strlen(text), &json, NULL) < 0)
		return;
	out->cpu_quota = json_integer_value(json_object_get(json, "cpu_quota"));
	out->cpu_period = json_integer_value(json_object_get(json, "cpu_period"));
	out->cpu_shares = json_integer_value(json_object_get(json, "cpu_shares"));
	out->memory = json_integer_value(json_object_get(json, "memory_limit_in_bytes"));
	json_decref(json);
}

static void read_limits(const Grpc__Spec *spec, const struct names *names, struct cri *out)
{
	const char *text = NULL;

	out->cpu_quota = number(spec, names->cpu_quota);
	out->cpu_period = number(spec, names->cpu_period);
	out->cpu_shares = number(spec, names->cpu_shares);
	out->memory = number(spec, names->memory);
	for (size_t i = 0; i < 2 && names->resources[i] && !text; i++)
		text = spec_annotation(spec, names->resources[i]);
	if (text)
		read_resources(text, out);
}

static int read_names(const Grpc__Spec *spec, const struct names *names, const char *type,
                      struct cri *out, struct error *err)
{
	const char *sandbox_id = spec_annotation(spec, names->sandbox_id);

	if (!sandbox_id || !*sandbox_id)
		return error_set(err, ERROR_INVALID_ARGUMENT, "annotation \"%s\": missing",
		                 names->sandbox_id);
	if (strcmp(type, "sandbox") != 0 && strcmp(type, "container") != 0)
		return error_set(
			err, ERROR_INVALID_ARGUMENT,
			"invalid annotation \"%s\" \"%s\": expected \"sandbox\" or \"container\"",
			names->type, type);
	*out = (struct cri){
		.type = strcmp(type, "sandbox") == 0 ? CRI_SANDBOX : CRI_CONTAINER,
		.sandbox_id = sandbox_id,
		.options_come_late = names->options_come_late,
	};
	read_limits(spec, names, out);
	return 0;
}

int cri_read(const Grpc__Spec *spec, struct cri *out, struct error *err)
{
	for (size_t i = 0; i < sizeof(implementations) / sizeof(implementations[0]); i++) {
		const struct names *names = &implementations[i];
		const char *type = spec_annotation(spec, names->type);

		if (type)
			return read_names(spec, names, type, out, err);
	}
	*out = (struct cri){ .type = CRI_NONE };
	return 0;
}
