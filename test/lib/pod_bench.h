/*
 * The shim's service above a fake guest (test/unit/shim/fake_guest.h), in the guest's temporary
 * directory: for unit tests and fuzz targets. What cannot fail there aborts.
 */
#ifndef TEST_POD_BENCH_H
#define TEST_POD_BENCH_H

#include "shim/server/service.h"

struct config;
struct ev_loop;
struct install;

struct pod_bench {
	struct install *install;
	struct config *settings;
	struct service *service;
	struct loopback *loopback; /* the next service's */
};

/* The defaults of a configuration; there is no service yet. */
void pod_bench_init(struct pod_bench *bench);
void pod_bench_fini(struct pod_bench *bench); /* with its service */

/* config.json of the bundle; NULL: one that names a command, and nothing else that it need not. */
void pod_bench_write_config(const char *text);

/* Starts the service on the bundle: it listens when this returns. */
int pod_bench_serve(struct pod_bench *bench, struct ev_loop *loop, void (*on_ending)(void *ctx),
                    service_end_fn *on_end, void *ctx, struct error *err);
/* A socket connected to it; -1 and errno. */
int pod_bench_connect(int flags);

#endif
