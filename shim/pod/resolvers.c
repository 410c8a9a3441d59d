#include "shim/pod/resolvers.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/mem.h"
#include "proto/limits.h"
#include "proto/vsock_ports.h"
#include "shim/network/nameservers.h"
#include "shim/pod/resolver_relay.h"

#define PORT      53
#define FILES_MAX LIMIT_CONTAINERS

/* One that could not be begun has its place, without a relay, and is not tried again. */
struct resolver {
	struct resolvers *resolvers;
	struct in_addr address;
	struct resolver_relay *relay;
	bool is_settled;
};

struct resolvers {
	struct ev_loop *loop;
	struct resolvers_config config;
	struct resolver all[RELAY_RESOLVERS_MAX];
	size_t n;
	char *files[FILES_MAX]; /* that containers see, the newest first; NULL: none more */
};

static bool are_settled(const struct resolvers *resolvers)
{
	for (size_t i = 0; i < resolvers->n; i++)
		if (!resolvers->all[i].is_settled)
			return false;
	return true;
}

static void on_settled(void *ctx, const struct error *err)
{
	struct resolver *resolver = ctx;
	struct resolvers *resolvers = resolver->resolvers;

	resolver->is_settled = true;
	if (err) {
		log_warn("%s", err->text);
		resolver_relay_destroy(take_ptr(&resolver->relay));
	}
	if (are_settled(resolvers))
		resolvers->config.on_settled(resolvers->config.ctx);
}

static bool is_known(const struct resolvers *resolvers, struct in_addr address)
{
	for (size_t i = 0; i < resolvers->n; i++)
		if (resolvers->all[i].address.s_addr == address.s_addr)
			return true;
	return false;
}

static void begin(struct resolvers *resolvers, struct in_addr address)
{
	struct resolver *resolver = &resolvers->all[resolvers->n++];
	const struct resolver_relay_config config = {
		.vsock = resolvers->config.vsock,
		.netns = resolvers->config.netns,
		.timeout_ms = resolvers->config.timeout_ms,
		.address = address,
		.port = PORT,
	};

	*resolver = (struct resolver){ .resolvers = resolvers, .address = address };
	resolver->relay = resolver_relay_create(resolvers->loop, &config, on_settled, resolver);
}

struct resolvers *resolvers_create(struct ev_loop *loop, const struct resolvers_config *config)
{
	struct resolvers *resolvers = mem_new(struct resolvers);

	resolvers->loop = loop;
	resolvers->config = *config;
	return resolvers;
}

void resolvers_destroy(struct resolvers *resolvers)
{
	if (!resolvers)
		return;
	for (size_t i = 0; i < resolvers->n; i++)
		resolver_relay_destroy(resolvers->all[i].relay);
	for (size_t i = 0; i < FILES_MAX; i++)
		free(resolvers->files[i]);
	free(resolvers);
}

/* What cannot be read has none: the container's own mount of it says why. */
static void begin_new(struct resolvers *resolvers, const char *path)
{
	struct nameservers nameservers = { 0 };
	struct error err;

	if (nameservers_read(path, &nameservers, &err) < 0)
		log_warn("nameservers: %s", err.text);
	for (size_t i = 0; i < nameservers.n; i++) {
		if (is_known(resolvers, nameservers.all[i]))
			continue;
		if (resolvers->n == RELAY_RESOLVERS_MAX)
			log_warn("a nameserver of the loopback is not reached from the guest: "
			         "there are %d already",
			         RELAY_RESOLVERS_MAX);
		else
			begin(resolvers, nameservers.all[i]);
	}
}

/* The first place is that of the file added last; the oldest gives way. */
static void remember_file(struct resolvers *resolvers, const char *path)
{
	char **files = resolvers->files;
	size_t i = 0;

	while (i < FILES_MAX - 1 && files[i] && strcmp(files[i], path) != 0)
		i++;
	free(files[i]);
	memmove(files + 1, files, i * sizeof(*files));
	files[0] = mem_strdup(path);
}

bool resolvers_add(struct resolvers *resolvers, const char *path)
{
	remember_file(resolvers, path);
	begin_new(resolvers, path);
	return are_settled(resolvers);
}

void resolvers_refresh(struct resolvers *resolvers)
{
	for (size_t i = 0; i < FILES_MAX && resolvers->files[i]; i++)
		if (access(resolvers->files[i], F_OK) == 0)
			begin_new(resolvers, resolvers->files[i]);
}
