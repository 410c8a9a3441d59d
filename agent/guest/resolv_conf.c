#include "agent/guest/resolv_conf.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/file.h"
#include "common/mem.h"

int resolv_conf_check(char *const *lines, size_t n, struct error *err)
{
	size_t total = 0;

	for (size_t i = 0; i < n; i++) {
		if (strchr(lines[i], '\n'))
			return error_set(err, ERROR_INVALID_ARGUMENT,
			                 "invalid dns \"%s\": more than one line", lines[i]);
		total += strlen(lines[i]) + 1;
		if (total > RESOLV_CONF_MAX)
			return error_set(err, ERROR_INVALID_ARGUMENT,
			                 "invalid dns: more than %d bytes", RESOLV_CONF_MAX);
	}
	return 0;
}

static char *join(char *const *lines, size_t n)
{
	char *text = mem_strdup("");

	for (size_t i = 0; i < n; i++) {
		char *more = mem_printf("%s%s\n", text, lines[i]);

		free(text);
		text = more;
	}
	return text;
}

static int make_parent(const char *path, struct error *err)
{
	autofree char *copy = mem_strdup(path);

	return file_make_dirs(dirname(copy), 0755, err);
}

int resolv_conf_write(const char *root, char *const *lines, size_t n, struct error *err)
{
	autofree char *path = mem_printf("%s" RESOLV_CONF_PATH, root);
	autofree char *link = mem_printf("%s" RESOLV_CONF_LINKS, root);
	autofree char *text = join(lines, n);
	int r;

	r = make_parent(path, err);
	if (r == 0)
		r = make_parent(link, err);
	if (r == 0)
		r = file_write(AT_FDCWD, path, 0644, text, strlen(text), err);
	if (r == 0 && symlink(RESOLV_CONF_PATH, link) < 0 && errno != EEXIST)
		r = error_errno(err, "cannot make the link \"%s\"", link);
	return r;
}
