/*
 * Storages of a test: in a mount namespace of its own, below a directory of its own. So as root.
 */
#ifndef TEST_UNIT_AGENT_STORAGE_BENCH_H
#define TEST_UNIT_AGENT_STORAGE_BENCH_H

#include <stdbool.h>

#include "agent/guest/storage_driver.h"

#define STORAGE_BENCH_TIMEOUT_MS 2000

/* "memory": a tmpfs. "at-once": one that no child process makes. "hang": a mount that never ends,
 * given up after STORAGE_BENCH_TIMEOUT_MS. */
extern const struct storage_driver storage_bench_drivers[];

void storage_bench_init(void);

/* A storage on @name of the test's directory. It and its strings live as long as the test. */
Grpc__Storage *storage_bench_new(const char *driver, const char *name);
bool storage_bench_mounted(const Grpc__Storage *storage); /* there is a mount on its place */

#endif
