#include "agent/launch/caps.h"

#include <stdbool.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

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
			return error_errno(err, "cannot drop capability %d of the bounding set",
			                   value);
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return error_errno(err, "cannot set keep_caps");
	return 0;
}

/* One system call and no memory: it has to do behind a seccomp filter too. */
static int set_sets(const struct caps *caps, uint64_t kept, struct error *err)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
		data[i] = (struct __user_cap_data_struct){
			.effective = (caps->effective | kept) >> 32 * i,
			.permitted = (caps->permitted | kept) >> 32 * i,
			.inheritable = caps->inheritable >> 32 * i,
		};
	return syscall(SYS_capset, &header, data) < 0 ? error_errno(err, "cannot set capabilities")
	                                              : 0;
}

int caps_apply(const struct caps *caps, uint64_t kept, struct error *err)
{
	uint64_t ambient = caps->ambient & ~caps_left_out(caps);
	cap_value_t value;
	int r;

	if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0)
		return error_errno(err, "cannot clear keep_caps");
	r = set_sets(caps, kept, err);
	if (r < 0)
		return r;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return error_errno(err, "cannot clear the ambient capabilities");
	for (value = 0; value < cap_max_bits(); value++)
		if (has(ambient, value) && cap_set_ambient(value, CAP_SET) < 0)
			return error_errno(err, "cannot set ambient capability %d", value);
	return 0;
}

int caps_drop_kept(const struct caps *caps, struct error *err)
{
	return set_sets(caps, 0, err);
}

uint64_t caps_left_out(const struct caps *caps)
{
	return caps->ambient & ~(caps->permitted & caps->inheritable);
}
