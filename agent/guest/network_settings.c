#include "agent/guest/network_settings.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>

#include "agent/base/kernel_file.h"
#include "common/cleanup.h"
#include "common/error.h"
#include "common/log.h"
#include "common/mem.h"
#include "proto/limits.h"

#define SYSCTL_DIR  "/proc/sys/net"
#define NAME_LIMIT  64
#define VALUE_LIMIT 128
#define LETTERS     "abcdefghijklmnopqrstuvwxyz0123456789_"

static const char *const folders[] = { "ipv4/conf/", "ipv4/neigh/", "ipv6/conf/", "ipv6/neigh/" };

/* The length of its folder, with the slash; 0: it has none of these. */
static size_t folder_length(const char *name)
{
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		if (!strncmp(folders[i], name, strlen(folders[i])))
			return strlen(folders[i]);
	return 0;
}

static bool is_name(const char *name)
{
	size_t len = folder_length(name);

	return len && name[len] && strlen(name) < NAME_LIMIT &&
	       !name[len + strspn(name + len, LETTERS)];
}

static bool is_value(const char *value)
{
	return *value && strlen(value) < VALUE_LIMIT && !strchr(value, '\n');
}

int network_settings_check(const Types__Interface *message, struct error *err)
{
	if (message->n_settings > LIMIT_LINK_SETTINGS)
		return error_set(err, ERROR_INVALID_ARGUMENT, "%zu settings: the limit is %d",
		                 message->n_settings, LIMIT_LINK_SETTINGS);
	for (size_t i = 0; i < message->n_settings; i++) {
		const Types__LinkSetting *one = message->settings[i];

		if (!is_name(one->name))
			return error_set(err, ERROR_INVALID_ARGUMENT,
			                 "invalid setting \"%s\": not one of a link", one->name);
		if (!is_value(one->value))
			return error_set(err, ERROR_INVALID_ARGUMENT,
			                 "invalid value \"%s\" of setting \"%s\"", one->value,
			                 one->name);
	}
	return 0;
}

void network_settings_apply(Types__LinkSetting *const *settings, size_t n, const char *link)
{
	autoclose int dir = n ? open(SYSCTL_DIR, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	struct error err;

	for (size_t i = 0; i < n; i++) {
		const char *name = settings[i]->name;
		size_t len = folder_length(name);
		autofree char *path = mem_printf("%.*s%s/%s", (int)len, name, link, name + len);

		if (kernel_file_write(dir, path, settings[i]->value, &err) < 0)
			log_warn("a setting is passed over: %s", err.text);
	}
}
