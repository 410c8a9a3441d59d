/*
 * The user of a container process, by numbers: names were resolved on the host.
 */
#ifndef AGENT_USER_H
#define AGENT_USER_H

#include <sys/types.h>

#include "proto/oci.pb-c.h"

struct error;

/* The home directory of @uid in the passwd file below @root; "/" when it has none. free() it. */
char *user_home(int root, uid_t uid);

/* As above, of the text of a passwd file. */
char *user_home_of(const char *passwd, uid_t uid);

/* Makes @user the owner of 0, 1 and 2, so that it can reopen them (/proc/self/fd/1). */
int user_own_stdio(const Grpc__User *user, struct error *err);

/* Groups, gid, uid; what becomes of the capabilities is the caller's choice (caps.h). */
int user_become(const Grpc__User *user, struct error *err);

#endif
