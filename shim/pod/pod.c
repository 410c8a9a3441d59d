#include "shim/pod/pod.h"

bool pod_is_empty(const struct pod *pod)
{
	return LIST_EMPTY(&pod->containers);
}
