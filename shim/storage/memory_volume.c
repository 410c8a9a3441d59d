#include "shim/storage/memory_volume.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/mem.h"

#define MOUNTS      "/proc/self/mountinfo"
#define EMPTY_DIRS  "/kubernetes.io~empty-dir/"
#define SUB_PATHS   "/volume-subpaths/"
#define PLAIN       " - tmpfs "
#define HUGE        " - hugetlbfs "
#define LINK_SIZE   40
#define FIELDS_MAX  5
#define OCTAL_CHARS 4 /* of "\040" */

/* A mount: one line of mountinfo (proc(5)). */
struct row {
	unsigned int id, major, minor;
	char *root;   /* of the file system, what is mounted */
	char *point;  /* where */
	bool is_huge; /* of huge pages */
};

/* Blanks and the like are octal there. */
static void unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; to++) {
		unsigned int c;

		if (*from == '\\' && sscanf(from + 1, "%3o", &c) == 1) {
			*to = (char)c;
			from += OCTAL_CHARS;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

/* Of a tmpfs, or hugetlbfs; its strings are @line's. */
static bool parse(char *line, struct row *out)
{
	char *fields[FIELDS_MAX];
	char *rest = line;

	for (size_t i = 0; i < FIELDS_MAX; i++) {
		fields[i] = strsep(&rest, " ");
		if (!rest)
			return false;
	}
	rest = strstr(rest, " - ");
	if (!rest)
		return false;
	out->is_huge = !strncmp(rest, HUGE, strlen(HUGE));
	if ((!out->is_huge && strncmp(rest, PLAIN, strlen(PLAIN)) != 0) ||
	    sscanf(fields[0], "%u", &out->id) != 1 ||
	    sscanf(fields[2], "%u:%u", &out->major, &out->minor) != 2)
		return false;
	out->root = fields[3];
	out->point = fields[4];
	unescape(out->root);
	unescape(out->point);
	return true;
}

/* What a kubelet has mounted for the volume: its top directory, and how large it is. */
static void take_top(const struct row *row, const struct statx *source, struct memory_volume *out)
{
	struct statvfs fs;
	struct stat st;

	if (row->major != source->stx_dev_major || row->minor != source->stx_dev_minor ||
	    strcmp(row->root, "/") != 0 || !strstr(row->point, EMPTY_DIRS) ||
	    stat(row->point, &st) < 0 || minor(st.st_dev) != row->minor ||
	    statvfs(row->point, &fs) < 0)
		return;
	out->found = true;
	out->minor = row->minor;
	out->bytes = row->is_huge ? 0 : (uint64_t)fs.f_blocks * fs.f_frsize;
	out->page_size = row->is_huge ? fs.f_bsize : 0;
	out->mode = st.st_mode & 07777;
	out->uid = st.st_uid;
	out->gid = st.st_gid;
}

/* Where in the file system @path is, which is at @row's mount or below it. */
static char *path_below(const struct row *row, const char *path)
{
	size_t len = strlen(row->point);

	if (strncmp(path, row->point, len) != 0 || (path[len] && path[len] != '/'))
		return NULL;
	return mem_printf("%s%s", strcmp(row->root, "/") != 0 ? row->root : "", path + len);
}

/* The path of an open directory, whatever links have led to it. */
static bool read_path(int fd, char path[PATH_MAX])
{
	char link[LINK_SIZE];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, PATH_MAX - 1);
	if (n < 0)
		return false;
	path[n] = '\0';
	return true;
}

static int search(FILE *mounts, const char *path, const struct statx *source,
                  struct memory_volume *out, struct error *err)
{
	autofree char *line = NULL, *below = NULL;
	size_t size = 0;
	struct row row;

	while (getline(&line, &size, mounts) > 0) {
		if (!parse(line, &row))
			continue;
		if (row.id == source->stx_mnt_id)
			below = path_below(&row, path);
		if (!out->found)
			take_top(&row, source, out);
	}
	if (!out->found || !below) {
		out->found = false;
		return 0;
	}
	if (strlen(below) >= sizeof(out->below))
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "a path in a volume in memory is longer than %zu bytes",
		                 sizeof(out->below) - 1);
	memcpy(out->below, below, strlen(below) + 1);
	return 0;
}

int memory_volume_find(const char *source, int fd, struct memory_volume *out, struct error *err)
{
	char path[PATH_MAX];
	struct statx stat;
	FILE *mounts;
	int r;

	*out = (struct memory_volume){ 0 };
	if (!strstr(source, EMPTY_DIRS) && !strstr(source, SUB_PATHS))
		return 0;
	if (statx(fd, "", AT_EMPTY_PATH, STATX_TYPE | STATX_MNT_ID, &stat) < 0 ||
	    !S_ISDIR(stat.stx_mode) || !read_path(fd, path))
		return 0;
	mounts = fopen(MOUNTS, "re");
	if (!mounts)
		return error_errno(err, "cannot open \"" MOUNTS "\"");
	r = search(mounts, path, &stat, out, err);
	fclose(mounts);
	return r;
}
