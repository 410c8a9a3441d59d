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
#include "test/lib/pod_bench.h"

struct config;
struct ev_loop;
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

struct bench {
	struct ev_loop *loop;
	struct pod_bench pod;
	struct config *settings;     /* the pod's */
	struct ttrpc_client *client; /* of the service */
	bool ending;                 /* the service has begun to end */
	bool ended;                  /* the service has */
	const char *version;         /* of the Task service */
	const char *id;              /* the container that the next calls are about */
	char *bundle;                /* of the next Create; NULL: that of the pod */
	char *fifos[3];              /* of the next Create or Exec */
	bool terminal;               /* the same */
	const char *exec_spec;       /* of the next Exec */
	int timeout_ms;              /* of the next calls; 0: none */
};

extern struct bench bench;

void bench_ask(struct answer *answer, const char *method, const void *request,
               const ProtobufCMessageDescriptor *response);
bool bench_wait_until(const bool *flag);
void bench_settle(void);
void bench_run_for(double seconds);
struct answer bench_get(const char *method, const void *request,
                        const ProtobufCMessageDescriptor *response);
void bench_ask_create(struct answer *answer);
struct answer bench_create(void);
void bench_ask_start(struct answer *answer, const char *exec_id);
struct answer bench_start(const char *exec_id);
void bench_ask_wait(struct answer *answer, const char *exec_id);
struct answer bench_delete(const char *exec_id);
struct answer bench_kill(const char *id, const char *exec_id, uint32_t signal);
void bench_ask_kill(struct answer *answer, uint32_t signal);
struct answer bench_kill_all(const char *exec_id, uint32_t signal);
void bench_ask_delete(struct answer *answer);
void bench_ask_update(struct answer *answer, const char *json);
struct answer bench_update(const char *json);
struct answer bench_freeze(const char *method); /* "Pause" or "Resume" */
struct answer bench_stats(void);
struct answer bench_exec(const char *exec_id);
struct answer bench_state(const char *exec_id);
void bench_ask_close_io(struct answer *answer, const char *exec_id);
struct answer bench_shutdown(void);
char *bench_make_fifo(const char *name);
int bench_try_serve(struct error *err);
void bench_serve(int idle_timeout_ms);
void bench_run_container(void);
void bench_expect_refused(struct answer answer, enum error_code code, const char *text);
void bench_setup(void);
void bench_teardown(void);

#endif
