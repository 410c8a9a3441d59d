/*
 * agent/pod/namespaces.h without processes: what is joined is no namespace, at once or when
 * fake_namespaces_let() says so.
 */
#include "agent/pod/namespaces.h"

#include <fcntl.h>

#include "common/mem.h"
#include "test/unit/agent/fakes.h"

struct fake_namespaces fake_namespaces;

struct pod_namespaces {
	LIST_HEAD(joins, pod_namespaces_join) joins;
};

static struct pod_namespaces *fake;

struct pod_namespaces *pod_namespaces_create(struct ev_loop *loop)
{
	fake = mem_new(struct pod_namespaces);
	LIST_INIT(&fake->joins);
	return fake;
}

void pod_namespaces_destroy(struct pod_namespaces *namespaces)
{
	free(namespaces);
}

void pod_namespaces_prepare(struct pod_namespaces *namespaces)
{
	fake_namespaces.prepared++;
}

static void end(struct pod_namespaces_join *join)
{
	join->pid_namespace = open("/dev/null", O_RDONLY | O_CLOEXEC);
	join->done(join->ctx, NULL);
}

int pod_namespaces_join_pid(struct pod_namespaces *namespaces, struct pod_namespaces_join *join,
                            struct error *err)
{
	fake_namespaces.joined++;
	join->pid_namespace = -1;
	if (!fake_namespaces.wait) {
		end(join);
		return 0;
	}
	LIST_INSERT_HEAD(&namespaces->joins, join, link);
	join->waits = true;
	return 0;
}

void fake_namespaces_let(void)
{
	struct pod_namespaces_join *join;

	while ((join = LIST_FIRST(&fake->joins))) {
		pod_namespaces_leave(join);
		end(join);
	}
}

void pod_namespaces_leave(struct pod_namespaces_join *join)
{
	if (join->waits)
		LIST_REMOVE(join, link);
	join->waits = false;
}

pid_t pod_namespaces_pause(const struct pod_namespaces *namespaces)
{
	return 0;
}
