/*
 * The group of a volume (Storage.fs_group of agent.proto, Kubernetes' fsGroup): all of its files belong to
 * it and may be read and written by it, and what is made in its directories does, too.
 */
#ifndef AGENT_FS_GROUP_H
#define AGENT_FS_GROUP_H

#include "proto/agent.pb-c.h"

struct error;

/* @tree: the descriptor of a mount that nobody sees yet. For a child process: it takes as long as
 * there are files. */
int fs_group_apply(int tree, const Grpc__FSGroup *group, struct error *err);

#endif
