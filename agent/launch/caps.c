#include "agent/launch/caps.h"

#include <stdbool.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>

#include "common/error.h"

static uint64_t read_set(char *const *names, size_t count)
{
	uint64_t set = 0;
	cap_value_t value;
	size_t i;

	for (i = 0; i < count; i++)
		if (cap_from_name(names[i], &value) == 0 && value < cap_max_bits())
			set |= UINT64_C(1) << value;
	return set;
}

struct caps caps_read(const Grpc__LinuxCapabilities *config)
{
	if (!config)
		return (struct caps){ 0 };
	return (struct caps){
		.bounding = read_set(config->bounding, config->n_bounding),
		.effective = read_set(config->effective, config->n_effective),
		.inheritable = read_set(config->inheritable, config->n_inheritable),
		.permitted = read_set(config->permitted, config->n_permitted),
		.ambient = read_set(config->ambient, config->n_ambient),
	};
}

static bool has(uint64_t set, cap_value_t value)
{
	return set & (UINT64_C(1) << value);
}

int caps_prepare(const struct caps *caps, struct error *err)
{
	cap_value_t value;

	for (value = 0; value < cap_max_bits(); value++)
		if (!has(caps->bounding, value) && cap_drop_bound(value) < 0)
			return error_errno(err, "drop capability %d of the bounding set", value);
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return error_errno(err, "keep capabilities");
	return 0;
}

static void fill(cap_t state, cap_flag_t flag, uint64_t set)
{
	cap_value_t value;

	for (value = 0; value < cap_max_bits(); value++)
		if (has(set, value))
			cap_set_flag(state, flag, 1, &value, CAP_SET);
}

static int apply_sets(const struct caps *caps, struct error *err)
{
	cap_t state = cap_init();
	int r;

	if (!state)
		return error_errno(err, "make a capability state");
	fill(state, CAP_EFFECTIVE, caps->effective);
	fill(state, CAP_PERMITTED, caps->permitted);
	fill(state, CAP_INHERITABLE, caps->inheritable);
	r = cap_set_proc(state);
	if (r < 0)
		r = error_errno(err, "set capabilities");
	cap_free(state);
	return r;
}

int caps_apply(const struct caps *caps, struct error *err)
{
	cap_value_t value;
	int r;

	if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0)
		return error_errno(err, "keep no capabilities");
	r = apply_sets(caps, err);
	if (r < 0)
		return r;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return error_errno(err, "clear the ambient capabilities");
	for (value = 0; value < cap_max_bits(); value++)
		if (has(caps->ambient, value) && cap_set_ambient(value, CAP_SET) < 0)
			return error_errno(err, "set ambient capability %d", value);
	return 0;
}
