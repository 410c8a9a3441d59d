#include "shim/network/link_settings.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/mem.h"
#include "proto/limits.h"
#include "shim/network/netns.h"

#define SYSCTL_DIR "/proc/sys/net"

/* The neighbours' settings have a "default" in the first namespace only; lo is made with each. */
static const struct folder {
	const char *path;
	const char *reference; /* the link that nobody changes */
} folders[] = {
	{ "ipv4/conf", "default" },
	{ "ipv6/conf", "default" },
	{ "ipv4/neigh", "lo" },
	{ "ipv6/neigh", "lo" },
};

/* The link's MTU is told by itself, and the guest's kernel makes no IPv6 address. */
static const char *const left_out[] = {
	"ipv6/conf/addr_gen_mode",
	"ipv6/conf/mtu",
	"ipv6/conf/stable_secret",
};

struct reading {
	struct link_settings *settings;
	const char *link;
};

static bool is_left_out(const char *name)
{
	for (size_t i = 0; i < sizeof(left_out) / sizeof(left_out[0]); i++)
		if (!strcmp(left_out[i], name))
			return true;
	return false;
}

/* False: there is none, or it cannot be read. */
static bool read_value(int dir, const char *folder, const char *link, const char *setting,
                       char value[LINK_SETTING_VALUE_MAX])
{
	autofree char *path = mem_printf("%s/%s/%s", folder, link, setting);
	autoclose int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, value, LINK_SETTING_VALUE_MAX - 1);

	if (n <= 0)
		return false;
	value[n] = '\0';
	value[strcspn(value, "\n")] = '\0';
	return true;
}

static struct link_setting *find(const struct link_settings *settings, const char *name)
{
	for (size_t i = 0; i < settings->n; i++)
		if (!strcmp(settings->all[i].name, name))
			return &settings->all[i];
	return NULL;
}

static void put(struct link_settings *settings, const char *name, const char *value,
                bool is_changed)
{
	struct link_setting *setting = find(settings, name);

	if (!setting && (!is_changed || settings->n == LIMIT_LINK_SETTINGS))
		return;
	if (!setting) {
		settings->all =
			mem_realloc(settings->all, (settings->n + 1) * sizeof(*settings->all));
		setting = &settings->all[settings->n++];
		snprintf(setting->name, sizeof(setting->name), "%s", name);
	}
	snprintf(setting->value, sizeof(setting->value), "%s", value);
}

static void read_setting(const struct reading *reading, int dir, const struct folder *folder,
                         const char *setting)
{
	autofree char *name = mem_printf("%s/%s", folder->path, setting);
	char own[LINK_SETTING_VALUE_MAX], reference[LINK_SETTING_VALUE_MAX];

	if (*setting == '.' || strlen(name) >= LINK_SETTING_NAME_MAX || is_left_out(name))
		return;
	if (read_value(dir, folder->path, reading->link, setting, own) &&
	    read_value(dir, folder->path, folder->reference, setting, reference))
		put(reading->settings, name, own, strcmp(own, reference) != 0);
}

/* A kernel without IPv6 has no such folder. */
static void read_folder(const struct reading *reading, int dir, const struct folder *folder)
{
	autofree char *path = mem_printf("%s/%s", folder->path, reading->link);
	int fd = openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *entries = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (!entries)
		return;
	while ((entry = readdir(entries)))
		read_setting(reading, dir, folder, entry->d_name);
	closedir(entries);
}

/* /proc/sys/net is that of who opens it. */
static int read_all(void *ctx, struct error *err)
{
	autoclose int dir = open(SYSCTL_DIR, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return error_errno(err, "cannot open \"" SYSCTL_DIR "\"");
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		read_folder(ctx, dir, &folders[i]);
	return 0;
}

int link_settings_read(struct link_settings *settings, const struct netns *netns, const char *name,
                       struct error *err)
{
	struct reading reading = { settings, name };

	if (netns_call(netns, read_all, &reading, err) < 0)
		return error_wrap(err, "cannot read the settings of link \"%s\"", name);
	return 0;
}

void link_settings_fini(struct link_settings *settings)
{
	free(settings->all);
	*settings = (struct link_settings){ 0 };
}
