#include "agent/launch/rlimits.h"

#include <string.h>
#include <sys/resource.h>

#include "common/error.h"

static const struct {
	const char *name;
	int resource;
} rows[] = {
	{ "RLIMIT_AS", RLIMIT_AS },
	{ "RLIMIT_CORE", RLIMIT_CORE },
	{ "RLIMIT_CPU", RLIMIT_CPU },
	{ "RLIMIT_DATA", RLIMIT_DATA },
	{ "RLIMIT_FSIZE", RLIMIT_FSIZE },
	{ "RLIMIT_LOCKS", RLIMIT_LOCKS },
	{ "RLIMIT_MEMLOCK", RLIMIT_MEMLOCK },
	{ "RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE },
	{ "RLIMIT_NICE", RLIMIT_NICE },
	{ "RLIMIT_NOFILE", RLIMIT_NOFILE },
	{ "RLIMIT_NPROC", RLIMIT_NPROC },
	{ "RLIMIT_RSS", RLIMIT_RSS },
	{ "RLIMIT_RTPRIO", RLIMIT_RTPRIO },
	{ "RLIMIT_RTTIME", RLIMIT_RTTIME },
	{ "RLIMIT_SIGPENDING", RLIMIT_SIGPENDING },
	{ "RLIMIT_STACK", RLIMIT_STACK },
};

static int find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!strcmp(rows[i].name, name))
			return rows[i].resource;
	return -1;
}

int rlimits_check(const Grpc__Process *process, struct error *err)
{
	size_t i;
	size_t j;

	for (i = 0; i < process->n_rlimits; i++) {
		const char *type = process->rlimits[i]->type;

		if (find(type) < 0)
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

		if (setrlimit(find(row->type), &limit) < 0)
			return error_errno(err, "set %s to %llu of %llu", row->type,
			                   (unsigned long long)row->soft,
			                   (unsigned long long)row->hard);
	}
	return 0;
}
