#include "agent/guest/network_routes.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/error.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/netlink/net_link.h"
#include "common/netlink/net_route.h"
#include "common/netlink/net_rule.h"
#include "proto/limits.h"
#include "proto/network/network_default.h"
#include "proto/network/network_parse.h"

struct network_routes {
	struct net_route *routes;
	size_t n_routes;
	struct net_rule *rules;
	size_t n_rules;
};

struct network_routes *network_routes_create(void)
{
	return mem_new(struct network_routes);
}

void network_routes_destroy(struct network_routes *routes)
{
	if (!routes)
		return;
	free(routes->routes);
	free(routes->rules);
	free(routes);
}

static int parse_routes(struct net_socket *socket, const Grpc__Routes *message,
                        struct network_routes *out, struct error *err)
{
	struct net_link *all = NULL;
	struct network_links links = { 0 };
	size_t n = message ? message->n_routes : 0;
	int r;

	if (n > LIMIT_ROUTES)
		return error_set(err, ERROR_INVALID_ARGUMENT, "%zu routes: the limit is %d", n,
		                 LIMIT_ROUTES);
	r = net_link_list(socket, &all, &links.n, err);
	links.all = all;
	out->routes = mem_alloc((n + 1) * sizeof(*out->routes));
	for (size_t i = 0; i < n && r == 0; i++) {
		r = network_route_parse(message->routes[i], &links, &out->routes[i], err);
		if (r < 0)
			r = error_wrap(err, "route \"%s\"", message->routes[i]->dest);
	}
	out->n_routes = n;
	free(all);
	return r;
}

static int parse_rules(const Grpc__UpdateRoutesRequest *message, struct network_routes *out,
                       struct error *err)
{
	int r = 0;

	if (message->n_rules > LIMIT_RULES)
		return error_set(err, ERROR_INVALID_ARGUMENT, "%zu rules: the limit is %d",
		                 message->n_rules, LIMIT_RULES);
	out->rules = mem_alloc((message->n_rules + 1) * sizeof(*out->rules));
	for (size_t i = 0; i < message->n_rules && r == 0; i++) {
		r = network_rule_parse(message->rules[i], &out->rules[i], err);
		if (r < 0)
			r = error_wrap(err, "rule of priority %u", message->rules[i]->priority);
	}
	out->n_rules = message->n_rules;
	return r;
}

static int add_routes(struct net_socket *socket, const struct network_routes *routes,
                      struct error *err)
{
	size_t failed = 0;
	char text[NET_ROUTE_TEXT_MAX];
	int r;

	r = net_route_add_all(socket, routes->routes, routes->n_routes, NET_ROUTE_REPLACE, &failed,
	                      err);
	if (r < 0)
		r = error_wrap(err, "cannot add the route \"%s\"",
		               net_route_text(&routes->routes[failed], text));
	return r;
}

static int add_rules(struct net_socket *socket, const struct network_routes *routes,
                     struct error *err)
{
	for (size_t i = 0; i < routes->n_rules; i++) {
		int r = net_rule_add(socket, &routes->rules[i], err);

		if (r < 0 && r != -EEXIST)
			return error_wrap(err, "cannot add the rule of priority %u",
			                  routes->rules[i].priority);
	}
	return 0;
}

static uint32_t metric_of(const struct net_route *route)
{
	return !route->metric && route->family == AF_INET6 ? NETWORK_METRIC_IPV6 : route->metric;
}

/* Of two such routes the kernel keeps one: the other has replaced it. */
static bool is_same(const struct net_route *a, const struct net_route *b)
{
	return a->family == b->family && net_prefix_equal(&a->destination, &b->destination) &&
	       net_prefix_equal(&a->source, &b->source) && a->table == b->table &&
	       a->tos == b->tos && metric_of(a) == metric_of(b);
}

static bool has_route(const struct network_routes *routes, const struct net_route *one)
{
	for (size_t i = 0; i < routes->n_routes; i++)
		if (is_same(&routes->routes[i], one))
			return true;
	return false;
}

static bool has_rule(const struct network_routes *routes, const struct net_rule *one)
{
	for (size_t i = 0; i < routes->n_rules; i++)
		if (net_rule_equal(&routes->rules[i], one))
			return true;
	return false;
}

/* Routes go with their link, and containers may have deleted them. */
static void delete_old(struct net_socket *socket, const struct network_routes *old,
                       const struct network_routes *new)
{
	char text[NET_ROUTE_TEXT_MAX];
	struct error err;

	for (size_t i = 0; i < old->n_routes; i++)
		if (!has_route(new, &old->routes[i]) &&
		    net_route_delete(socket, &old->routes[i], &err) < 0)
			log_debug("a route was not deleted route=\"%s\" cause=\"%s\"",
			          net_route_text(&old->routes[i], text), err.text);
	for (size_t i = 0; i < old->n_rules; i++)
		if (!has_rule(new, &old->rules[i]) &&
		    net_rule_delete(socket, &old->rules[i], &err) < 0)
			log_debug("a rule was not deleted priority=%u cause=\"%s\"",
			          old->rules[i].priority, err.text);
}

static void move(struct network_routes *from, struct network_routes *to)
{
	free(to->routes);
	free(to->rules);
	*to = *from;
	*from = (struct network_routes){ 0 };
}

int network_routes_update(struct network_routes *routes, struct net_socket *socket,
                          const Grpc__UpdateRoutesRequest *message, struct error *err)
{
	struct network_routes new = { 0 };
	int r;

	r = parse_routes(socket, message->routes, &new, err);
	if (r == 0)
		r = parse_rules(message, &new, err);
	if (r == 0)
		r = add_routes(socket, &new, err);
	if (r == 0)
		r = add_rules(socket, &new, err);
	if (r == 0 && message->exact) {
		delete_old(socket, routes, &new);
		move(&new, routes);
	}
	free(new.routes);
	free(new.rules);
	return r;
}

int network_routes_list(struct net_socket *socket, Grpc__Routes **out, struct error *err)
{
	struct net_link *links = NULL;
	struct net_route *routes = NULL;
	struct network_links named = { 0 };
	Grpc__Routes *message;
	size_t n = 0;
	int r;

	r = net_link_list(socket, &links, &named.n, err);
	if (r == 0)
		r = net_route_list(socket, &routes, &n, err);
	if (r == 0) {
		named.all = links;
		message = mem_new(Grpc__Routes);
		grpc__routes__init(message);
		message->routes = mem_alloc((n + 1) * sizeof(void *));
		for (size_t i = 0; i < n; i++)
			if (routes[i].table == RT_TABLE_MAIN)
				message->routes[message->n_routes++] =
					network_route_message(&routes[i], &named, true);
		*out = message;
	}
	free(links);
	free(routes);
	return r;
}
