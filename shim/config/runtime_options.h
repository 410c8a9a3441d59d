/*
 * The options of a runtime, from containerd's configuration or from a client: a protobuf Any that
 * holds a runtimeoptions.v1.Options. They come to `start` and to Create.
 */
#ifndef SHIM_RUNTIME_OPTIONS_H
#define SHIM_RUNTIME_OPTIONS_H

#include <stdbool.h>

#include "proto/google.pb-c.h"

struct error;

#define RUNTIME_OPTIONS_TYPE "runtimeoptions.v1.Options"

struct runtime_options {
	char *config_path; /* NULL: none */
	char *config_body; /* TOML, used without a path; NULL: none */
};

/* Whether these are the options of a runtime, ours or another, where other things come as well. */
bool runtime_options_is_type(const char *url);

/* @any may be NULL or empty: no options, as are those of runc's that say no more than where a task's
 * shim is. Those of another type are refused by name: we would not do what they say. */
int runtime_options_read(const Google__Protobuf__Any *any, struct runtime_options *out,
                         struct error *err);
void runtime_options_fini(struct runtime_options *options);

#endif
