#include "agent/launch/user.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agent/launch/in_root.h"
#include "common/cleanup.h"
#include "common/error.h"
#include "common/mem.h"

#define PASSWD_MAX (1 << 20)

/* name:password:uid:gid:comment:home:shell; anything else is no entry. */
static char *entry_home(char *line, uid_t uid)
{
	char *fields[7] = { NULL };
	char *end = NULL;
	unsigned long number;
	size_t n = 0;
	char *field;

	while (n < 7 && (field = strsep(&line, ":")))
		fields[n++] = field;
	if (n < 6 || fields[2][0] < '0' || fields[2][0] > '9')
		return NULL;
	number = strtoul(fields[2], &end, 10);
	return *end || number != uid ? NULL : mem_strdup(fields[5]);
}

char *user_home_of(const char *passwd, uid_t uid)
{
	autofree char *copy = mem_strdup(passwd);
	char *home = NULL;
	char *rest = copy;
	char *line;

	while (!home && (line = strsep(&rest, "\n")))
		home = entry_home(line, uid);
	return home ? home : mem_strdup("/");
}

/* NULL when there is none to be read; what is no file is not waited for. */
static char *read_passwd(int root)
{
	autoclose int fd = in_root_open(root, "/etc/passwd", O_RDONLY | O_NONBLOCK | O_NOCTTY);
	autofree char *text = NULL;
	struct stat st;
	size_t len = 0;
	ssize_t n = 1;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return NULL;
	text = mem_alloc(PASSWD_MAX + 1);
	while (n > 0 && len < PASSWD_MAX) {
		n = read(fd, text + len, PASSWD_MAX - len);
		len += n > 0 ? n : 0;
	}
	text[len] = '\0';
	return n < 0 ? NULL : take_ptr(&text);
}

char *user_home(int root, uid_t uid)
{
	autofree char *passwd = read_passwd(root);

	return user_home_of(passwd ? passwd : "", uid);
}

static bool is_null_device(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3);
}

int user_own_stdio(const Grpc__User *user, struct error *err)
{
	struct stat st;
	int fd;

	for (fd = 0; fd < 3; fd++) {
		if (fstat(fd, &st) < 0)
			return error_errno(err, "cannot stat descriptor %d", fd);
		if (st.st_uid == user->uid || is_null_device(&st))
			continue;
		/* Not all kinds of files can be given away; the process can use them anyhow. */
		if (fchown(fd, user->uid, st.st_gid) < 0 && errno != EINVAL && errno != EPERM &&
		    errno != EROFS)
			return error_errno(err, "cannot give descriptor %d to user %u", fd,
			                   user->uid);
	}
	return 0;
}

/* To the system calls, -1 means "as it is": such a process would stay root. */
static int check(const Grpc__User *user, struct error *err)
{
	size_t i = 0;

	if (user->uid == (uid_t)-1)
		return error_set(err, ERROR_INVALID_ARGUMENT, "invalid uid \"%u\": reserved",
		                 user->uid);
	while (i < user->n_additionalgids && user->additionalgids[i] != (gid_t)-1)
		i++;
	if (user->gid == (gid_t)-1 || i < user->n_additionalgids)
		return error_set(err, ERROR_INVALID_ARGUMENT, "invalid gid \"%u\": reserved",
		                 (gid_t)-1);
	return 0;
}

int user_become(const Grpc__User *user, struct error *err)
{
	int r = check(user, err);

	if (r < 0)
		return r;
	if (setgroups(user->n_additionalgids, user->additionalgids) < 0)
		return error_errno(err, "cannot set %zu additional groups", user->n_additionalgids);
	if (setresgid(user->gid, user->gid, user->gid) < 0)
		return error_errno(err, "cannot set group %u", user->gid);
	if (setresuid(user->uid, user->uid, user->uid) < 0)
		return error_errno(err, "cannot set user %u", user->uid);
	return 0;
}
