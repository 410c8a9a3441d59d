#include "shim/spec/spec.h"

#include <string.h>

#include "common/error.h"
#include "common/json.h"
#include "common/mem.h"
#include "shim/spec/spec_table.h"

#define CONFIG_NAME    "config.json"
#define PROCESS_NAME   "process spec"
#define RESOURCES_NAME "resources"

/* On failure *@out is what was read until then, for its owner to free. */
static int parse(const char *name, const char *text, size_t len, const struct json_table *table,
                 void **out, struct error *err)
{
	json_t *value;
	int r = json_parse(name, text, len, &value, err);

	if (r < 0)
		return r;
	*out = json_table_new(table);
	r = json_read(value, NULL, table, *out, err);
	json_decref(value);
	return r < 0 ? error_wrap(err, "%s", name) : 0;
}

/* What the tables cannot say. Every process has a user from here on. */
static int check_process(Grpc__Process *process, const struct json_path *at, struct error *err)
{
	if (process->n_args == 0)
		return json_fail(&(struct json_path){ .up = at, .key = "args" }, err,
		                 "names no command");
	if (process->cwd[0] != '/')
		return json_fail(&(struct json_path){ .up = at, .key = "cwd" }, err,
		                 "\"%s\" is not an absolute path", process->cwd);
	if (!process->user) {
		process->user = mem_new(Grpc__User);
		grpc__user__init(process->user);
	}
	return 0;
}

static int check_spec(Grpc__Spec *spec, struct error *err)
{
	const struct json_path process = { .key = "process" };
	const struct json_path root = { .key = "root" };

	if (!spec->root->path[0])
		return json_fail(&(struct json_path){ .up = &root, .key = "path" }, err, "empty");
	return check_process(spec->process, &process, err);
}

int spec_parse(const char *text, size_t len, Grpc__Spec **out, struct error *err)
{
	autodestroy(spec) Grpc__Spec *spec = NULL;
	int r = parse(CONFIG_NAME, text, len, &spec_table, (void **)&spec, err);

	if (r < 0)
		return r;
	if (check_spec(spec, err) < 0)
		return error_wrap(err, CONFIG_NAME);
	*out = take_ptr(&spec);
	return 0;
}

void spec_free(Grpc__Spec *spec)
{
	grpc__spec__free_unpacked(spec, NULL);
}

int spec_parse_process(const char *text, size_t len, Grpc__Process **out, struct error *err)
{
	autodestroy(spec_process) Grpc__Process *process = NULL;
	int r = parse(PROCESS_NAME, text, len, &spec_process_table, (void **)&process, err);

	if (r < 0)
		return r;
	if (check_process(process, NULL, err) < 0)
		return error_wrap(err, PROCESS_NAME);
	*out = take_ptr(&process);
	return 0;
}

void spec_process_free(Grpc__Process *process)
{
	grpc__process__free_unpacked(process, NULL);
}

int spec_parse_resources(const char *text, size_t len, Grpc__LinuxResources **out,
                         struct error *err)
{
	autodestroy(spec_resources) Grpc__LinuxResources *resources = NULL;
	int r = parse(RESOURCES_NAME, text, len, &spec_resources_table, (void **)&resources, err);

	if (r == 0)
		*out = take_ptr(&resources);
	return r;
}

void spec_resources_free(Grpc__LinuxResources *resources)
{
	grpc__linux_resources__free_unpacked(resources, NULL);
}

const char *spec_annotation(const Grpc__Spec *spec, const char *key)
{
	for (size_t i = 0; i < spec->n_annotations; i++)
		if (!strcmp(spec->annotations[i]->key, key))
			return spec->annotations[i]->value;
	return NULL;
}
