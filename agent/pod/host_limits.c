#include "agent/pod/host_limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/kernel_file.h"
#include "agent/launch/rlimits.h"
#include "agent/launch/sysctl.h"
#include "common/cleanup.h"
#include "common/error.h"
#include "common/log.h"
#include "common/mem.h"

#define NUMBER_MAX 64 /* bytes of a setting's file */
#define NR_OPEN    "fs/nr_open"

struct host_limits {
	Grpc__POSIXRlimit *rows;
	size_t n;
};

static bool parse(const char *text, unsigned long long *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	return !errno && end != text && *text != '-' && (*end == '\0' || !strcmp(end, "\n"));
}

static int read_number(int dir, const char *path, unsigned long long *out, struct error *err)
{
	char text[NUMBER_MAX];
	int r;

	r = kernel_file_read(dir, path, text, sizeof(text), err);
	if (r == 0 && !parse(text, out))
		r = error_set(err, ERROR_INTERNAL, "invalid kernel setting \"%s\": not a number",
		              path);
	return r;
}

static int raise_one(int dir, const char *name, const char *value, struct error *err)
{
	autofree char *path = sysctl_path(name);
	unsigned long long now, wanted;
	int r;

	if (!path || !parse(value, &wanted))
		return error_set(err, ERROR_INVALID_ARGUMENT, "invalid value or name");
	r = read_number(dir, path, &now, err);
	if (r == 0 && now < wanted)
		r = kernel_file_write(dir, path, value, err);
	return r;
}

static void raise_settings(int dir, const Grpc__CreateSandboxRequest *request)
{
	struct error err;

	for (size_t i = 0; i < request->n_host_sysctls; i++) {
		const char *name = request->host_sysctls[i]->key;

		if (raise_one(dir, name, request->host_sysctls[i]->value, &err) < 0)
			log_info("the host's setting is not the guest's name=\"%s\" cause=\"%s\"",
			         name, err.text);
	}
}

static int check(const Grpc__CreateSandboxRequest *request, struct error *err)
{
	Grpc__Process process = GRPC__PROCESS__INIT;

	process.rlimits = request->host_rlimits;
	process.n_rlimits = request->n_host_rlimits;
	return rlimits_check(&process, err);
}

/* setrlimit(2) refuses more open files than fs.nr_open. */
static void lower_open_files(struct host_limits *limits, int dir)
{
	unsigned long long most = 0;

	if (read_number(dir, NR_OPEN, &most, NULL) < 0)
		return;
	for (size_t i = 0; i < limits->n; i++) {
		if (strcmp(limits->rows[i].type, "RLIMIT_NOFILE") != 0)
			continue;
		if (limits->rows[i].hard > most)
			limits->rows[i].hard = most;
		if (limits->rows[i].soft > most)
			limits->rows[i].soft = most;
	}
}

int host_limits_create(const Grpc__CreateSandboxRequest *request, const char *sysctl_dir,
                       struct host_limits **out, struct error *err)
{
	autoclose int dir = open(sysctl_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct host_limits *limits;
	int r;

	if (dir < 0)
		return error_errno(err, "cannot open \"%s\"", sysctl_dir);
	r = check(request, err);
	if (r < 0)
		return error_wrap(err, "host_rlimits");
	raise_settings(dir, request);
	limits = mem_new(struct host_limits);
	limits->n = request->n_host_rlimits;
	limits->rows = mem_alloc(limits->n * sizeof(limits->rows[0]) + 1);
	for (size_t i = 0; i < limits->n; i++) {
		limits->rows[i] = *request->host_rlimits[i];
		limits->rows[i].type = mem_strdup(request->host_rlimits[i]->type);
	}
	lower_open_files(limits, dir);
	*out = limits;
	return 0;
}

void host_limits_destroy(struct host_limits *limits)
{
	if (!limits)
		return;
	for (size_t i = 0; i < limits->n; i++)
		free(limits->rows[i].type);
	free(limits->rows);
	free(limits);
}

static bool names(const Grpc__Process *process, const char *type)
{
	for (size_t i = 0; i < process->n_rlimits; i++)
		if (!strcmp(process->rlimits[i]->type, type))
			return true;
	return false;
}

Grpc__POSIXRlimit **host_limits_complete(const struct host_limits *limits,
                                         const Grpc__Process *from, Grpc__Process *process)
{
	size_t most = from->n_rlimits + (limits ? limits->n : 0);
	Grpc__POSIXRlimit **all = mem_alloc((most + 1) * sizeof(Grpc__POSIXRlimit *));
	size_t n = 0;

	for (; n < from->n_rlimits; n++)
		all[n] = from->rlimits[n];
	for (size_t i = 0; limits && i < limits->n; i++)
		if (!names(from, limits->rows[i].type))
			all[n++] = &limits->rows[i];
	process->rlimits = all;
	process->n_rlimits = n;
	return all;
}
