#include "shim/spec/cri.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "shim/spec/spec.h"

struct names {
	const char *type;
	const char *sandbox_id;
	const char *cpu_quota; /* NULL, as the two below: it has none */
	const char *cpu_period;
	const char *memory;
};

#define CONTAINERD(name) "io.kubernetes.cri." name
#define CRIO(name)       "io.kubernetes.cri-o." name

/* clang-format off */
static const struct names implementations[] = {
	{ CONTAINERD("container-type"), CONTAINERD("sandbox-id"),
	  CONTAINERD("sandbox-cpu-quota"), CONTAINERD("sandbox-cpu-period"), CONTAINERD("sandbox-memory") },
	{ CRIO("ContainerType"), CRIO("SandboxID"), NULL, NULL, NULL },
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
		.has_limits = names->memory != NULL,
		.cpu_quota = number(spec, names->cpu_quota),
		.cpu_period = number(spec, names->cpu_period),
		.memory = number(spec, names->memory),
	};
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
