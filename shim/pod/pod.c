#include "shim/pod/pod.h"

#include "shim/spec/bundle.h"

static int refuse_several(const char *kind, const char *name, struct error *err)
{
	return error_set(err, ERROR_UNIMPLEMENTED,
	                 "%s \"%s\": pods of several containers: not supported", kind, name);
}

static bool single_ends(const struct pod *pod)
{
	return LIST_EMPTY(&pod->containers);
}

static int single_takes(const struct pod *pod, const char *id, struct error *err)
{
	return LIST_EMPTY(&pod->containers) ? 0 : refuse_several("container", id, err);
}

static const struct pod_policy single = { single_ends, single_takes };

int pod_policy_for(const struct bundle *bundle, const struct pod_policy **out, struct error *err)
{
	if (bundle_type(bundle) != BUNDLE_SINGLE)
		return refuse_several("bundle", bundle_dir(bundle), err);
	*out = &single;
	return 0;
}
