#include "shim/pod/pod_policy.h"

#include <string.h>

#include "shim/pod/container.h"
#include "shim/pod/pod.h"
#include "shim/spec/bundle.h"

static int single_takes(const struct pod *pod, const char *id, const struct bundle *bundle,
                        struct error *err)
{
	if (pod_is_empty(pod) && bundle_type(bundle) == BUNDLE_SINGLE)
		return 0;
	return error_set(err, ERROR_FAILED_PRECONDITION,
	                 "invalid container \"%s\": the pod is that of container \"%s\" alone", id,
	                 pod->id);
}

static const struct pod_policy single = { single_takes };

static int sandbox_takes_pause(const struct pod *pod, const char *id, struct error *err)
{
	if (pod_is_empty(pod) && strcmp(id, pod->id) == 0)
		return 0;
	return error_set(err, ERROR_FAILED_PRECONDITION,
	                 "invalid container \"%s\": the pod has the sandbox \"%s\" already", id,
	                 pod->id);
}

static int sandbox_takes(const struct pod *pod, const char *id, const struct bundle *bundle,
                         struct error *err)
{
	const char *sandbox_id = bundle_sandbox_id(bundle);
	const struct container *pause = container_pause(pod);

	if (!sandbox_id || strcmp(sandbox_id, pod->id) != 0)
		return error_set(
			err, ERROR_FAILED_PRECONDITION,
			"invalid container \"%s\": its bundle does not name sandbox \"%s\"", id,
			pod->id);
	if (bundle_type(bundle) == BUNDLE_SANDBOX)
		return sandbox_takes_pause(pod, id, err);
	if (!pause || !pause->created || pause->init->state == PROCESS_STOPPED)
		return error_set(err, ERROR_FAILED_PRECONDITION,
		                 "invalid container \"%s\": sandbox \"%s\" is not running", id,
		                 pod->id);
	return 0;
}

static const struct pod_policy sandbox = { sandbox_takes };

int pod_policy_for(struct bundle *bundle, const struct pod_policy **out, struct error *err)
{
	int r = 0;

	switch (bundle_type(bundle)) {
	case BUNDLE_SINGLE:
		r = shared_paths_check_single(bundle, err);
		if (r == 0)
			*out = &single;
		break;
	case BUNDLE_SANDBOX:
		r = shared_paths_check(bundle, err);
		if (r == 0)
			*out = &sandbox;
		break;
	case BUNDLE_CONTAINER:
		r = error_set(err, ERROR_INVALID_ARGUMENT,
		              "bundle \"%s\": a container of sandbox \"%s\" begins no pod",
		              bundle_dir(bundle), bundle_sandbox_id(bundle));
		break;
	}
	return r;
}
