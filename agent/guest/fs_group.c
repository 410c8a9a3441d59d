#include "agent/guest/fs_group.h"

#include <errno.h>
#include <fts.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"

#define FILE_BITS      0660
#define DIRECTORY_BITS (S_ISGID | 0770)
#define PATH_SIZE      32

static bool is_done(int tree, const Grpc__FSGroup *group)
{
	struct stat st;

	return group->group_change_policy == TYPES__FSGROUP_CHANGE_POLICY__OnRootMismatch &&
	       fstat(tree, &st) == 0 && st.st_gid == group->group_id &&
	       (st.st_mode & DIRECTORY_BITS) == DIRECTORY_BITS;
}

/* The change of the group takes set-id bits away: the mode comes second. */
static int change(const FTSENT *entry, gid_t group)
{
	mode_t mode = entry->fts_statp->st_mode & 07777;
	mode_t more = S_ISDIR(entry->fts_statp->st_mode) ? DIRECTORY_BITS : FILE_BITS;

	if (lchown(entry->fts_accpath, (uid_t)-1, group) < 0)
		return -1;
	return S_ISLNK(entry->fts_statp->st_mode) ? 0 : chmod(entry->fts_accpath, mode | more);
}

static int change_all(FTS *walk, gid_t group, struct error *err)
{
	const FTSENT *entry;

	for (errno = 0; (entry = fts_read(walk)); errno = 0) {
		if (entry->fts_info == FTS_DP)
			continue;
		if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR ||
		    entry->fts_info == FTS_NS) {
			errno = entry->fts_errno;
			return error_errno(err, "cannot read \"%s\"", entry->fts_path);
		}
		if (change(entry, group) < 0)
			return error_errno(err, "cannot give \"%s\" to group %u", entry->fts_path,
			                   (unsigned int)group);
	}
	return errno ? error_errno(err, "cannot read its files") : 0;
}

int fs_group_apply(int tree, const Grpc__FSGroup *group, struct error *err)
{
	char path[PATH_SIZE];
	char *paths[] = { path, NULL };
	FTS *walk;
	int r;

	if (is_done(tree, group))
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d/", tree);
	walk = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	if (!walk)
		return error_errno(err, "cannot read its files");
	r = change_all(walk, group->group_id, err);
	fts_close(walk);
	return r;
}
