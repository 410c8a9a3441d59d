/*
 * The shim's service above a fake guest, with a client: the calls, as tests write them. A test
 * suite has bench_setup() and bench_teardown() as its fixtures.
 */
#ifndef TEST_SERVICE_BENCH_H
#define TEST_SERVICE_BENCH_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

struct config;
struct ev_loop;
struct install;
struct service;
struct ttrpc_client;

/* An answer that a test waits for. */
struct answer {
	bool here;
	struct error err; /* ERROR_NONE: success */
	uint32_t pid;
	uint32_t status;
	uint32_t state;
	size_t n_pids;
	bool last_pid_is_exec;
};

extern struct ev_loop *loop;
extern struct service *service;
extern struct ttrpc_client *client; /* of the service */
extern struct install *install;
extern struct config *settings;
extern bool ending;           /* the service has begun to end */
extern bool ended;            /* the service has */
extern const char *version;   /* of the Task service */
extern char *fifos[3];        /* of the next Create or Exec */
extern bool terminal;         /* the same */
extern const char *exec_spec; /* of the next Exec */
extern int timeout_ms;        /* of the next calls; 0: none */

void ask(struct answer *answer, const char *method, const void *request,
         const ProtobufCMessageDescriptor *response);
bool wait_until(const bool *flag);
void settle(void);
void run_for(double seconds);
struct answer get(const char *method, const void *request,
                  const ProtobufCMessageDescriptor *response);
void ask_create(struct answer *answer);
struct answer create(void);
void ask_start(struct answer *answer, const char *exec_id);
struct answer start(const char *exec_id);
void ask_wait(struct answer *answer, const char *exec_id);
struct answer delete_(const char *exec_id);
struct answer kill_(const char *id, const char *exec_id, uint32_t signal);
struct answer exec(const char *exec_id);
struct answer state(const char *exec_id);
void ask_close_io(struct answer *answer, const char *exec_id);
struct answer shutdown_(void);
void write_config(const char *text);
char *make_fifo(const char *name);
void serve(int idle_timeout_ms);
void run_container(void);
void bench_on_end(void *ctx);
void bench_setup(void);
void bench_teardown(void);

#endif
