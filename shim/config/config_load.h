/*
 * Reads the configuration: by the table in config_keys.c, from the file that counts and its
 * drop-ins.
 */
#ifndef SHIM_CONFIG_LOAD_H
#define SHIM_CONFIG_LOAD_H

#include <stddef.h>

#include "common/cleanup.h"

struct config;
struct error;
struct install;

/* What the runtime options say; zero: nothing. */
struct config_source {
	const char *path; /* must be there */
	const char *body; /* a configuration itself, where there is no path */
	size_t body_len;
};

/*
 * Reads the first of: what @source says; the file that KATA_CONF_FILE names;
 * /etc/kata-containers/configuration.toml; the one in share/defaults/kata-containers of the
 * installation. Then what is in config.d beside it, in the order of the names. Where there is none
 * of these, the values are those of docs/configuration.md. Unknown keys are logged as warnings; a
 * wrong value is an error: "/etc/kata-containers/configuration.toml:12: hypervisor.qemu.kernel: …".
 * Paths that are not set are those of @install.
 */
int config_load(const struct config_source *source, const struct install *install,
                struct config **out, struct error *err);
void config_destroy(struct config *config); /* NULL is fine */

/* Says in the log which file it is, and sets the log's level to debug for any enable_debug: what the
 * guest says is in the log as well. */
void config_log(const struct config *config);

CLEANUP_DESTROY(config)

#endif
