#include "agent/launch/rlimits.h"

#include <string.h>

#include "common/error.h"
#include "common/rlimit_name.h"

int rlimits_check(const Grpc__Process *process, struct error *err)
{
	size_t i;
	size_t j;

	for (i = 0; i < process->n_rlimits; i++) {
		const char *type = process->rlimits[i]->type;

		if (rlimit_name_find(type) < 0)
			return error_set(err, ERROR_INVALID_ARGUMENT,
			                 "invalid process.rlimits[%zu].type \"%s\": unknown", i,
			                 type);
		for (j = 0; j < i; j++)
			if (!strcmp(process->rlimits[j]->type, type))
				return error_set(
					err, ERROR_INVALID_ARGUMENT,
					"invalid process.rlimits[%zu].type \"%s\": duplicate", i,
					type);
	}
	return 0;
}

int rlimits_apply(const Grpc__Process *process, struct error *err)
{
	size_t i;

	for (i = 0; i < process->n_rlimits; i++) {
		const Grpc__POSIXRlimit *row = process->rlimits[i];
		const struct rlimit limit = { .rlim_cur = row->soft, .rlim_max = row->hard };

		if (setrlimit(rlimit_name_find(row->type), &limit) < 0)
			return error_errno(err, "cannot set %s to %llu of %llu", row->type,
			                   (unsigned long long)row->soft,
			                   (unsigned long long)row->hard);
	}
	return 0;
}
