#include "agent/guest/pci_path.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"

#define ROOT_BUS  "0000:00"
#define SLOT_MAX  0x1f
#define FUNCTIONS 8

static int open_dir(int dir, const char *name)
{
	return openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* The first entry of @dir that begins with @prefix, without what hides; false: none. */
static bool first_entry(int dir, const char *prefix, char name[NAME_MAX + 1])
{
	DIR *list = fdopendir(dup(dir));
	struct dirent *entry;
	bool found = false;

	if (!list)
		return false;
	while (!found && (entry = readdir(list)))
		if (entry->d_name[0] != '.' && !strncmp(entry->d_name, prefix, strlen(prefix))) {
			snprintf(name, NAME_MAX + 1, "%s", entry->d_name);
			found = true;
		}
	closedir(list);
	return found;
}

/* Takes one "SS" or "SS.F" off *rest. */
static bool take_slot(const char **rest, unsigned int *slot, unsigned int *function)
{
	const char *s = *rest;
	int n = 0;

	*function = 0;
	if (!isxdigit((unsigned char)s[0]) || sscanf(s, "%2x%n", slot, &n) != 1 || *slot > SLOT_MAX)
		return false;
	s += n;
	if (s[0] == '.') {
		if (s[1] < '0' || s[1] >= '0' + FUNCTIONS)
			return false;
		*function = (unsigned int)(s[1] - '0');
		s += 2;
	}
	if (*s && *s++ != '/')
		return false;
	if (!*s && s[-1] == '/')
		return false;
	*rest = s;
	return true;
}

/* The bus behind the bridge that *dir is open on becomes @bus; false: it is no bridge. */
static bool enter_bus(int dir, char bus[NAME_MAX + 1])
{
	autoclose int list = open_dir(dir, "pci_bus");

	return list >= 0 && first_entry(list, "", bus);
}

/* From the bridge or the root that *dir is open on to the device in a slot; -1 where it is not. */
static void enter(int *dir, bool is_root, unsigned int slot, unsigned int function)
{
	char bus[NAME_MAX + 1] = ROOT_BUS;
	char name[sizeof(bus) + sizeof(":1f.7")];
	autoclose int from = take_fd(dir);

	if (from < 0 || (!is_root && !enter_bus(from, bus)))
		return;
	snprintf(name, sizeof(name), "%s:%02x.%u", bus, slot, function);
	*dir = open_dir(from, name);
}

/* Returns a descriptor of the device, -ENOENT or -EINVAL. All of @path is checked in any case. */
static int open_device(const char *root, const char *path)
{
	autoclose int dir = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const char *rest = path;
	unsigned int slot;
	unsigned int function;

	do {
		bool is_root = rest == path;

		if (!take_slot(&rest, &slot, &function))
			return -EINVAL;
		enter(&dir, is_root, slot, function);
	} while (*rest);
	return dir < 0 ? -ENOENT : take_fd(&dir);
}

int pci_path_open(const char *root, const char *path, const char *class, char name[NAME_MAX + 1])
{
	autoclose int device = open_device(root, path);
	char virtio[NAME_MAX + 1];
	autoclose int below = -1;
	autoclose int list = -1;
	int fd;

	if (device < 0)
		return device;
	if (first_entry(device, "virtio", virtio))
		below = open_dir(device, virtio);
	list = open_dir(below < 0 ? device : below, class);
	if (list < 0 || !first_entry(list, "", name))
		return -ENOENT;
	fd = open_dir(list, name);
	return fd < 0 ? -ENOENT : fd;
}
