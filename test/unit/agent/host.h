/*
 * The host's side of an agent that runs in the test's own process: a ttrpc client and streams over
 * Unix sockets.
 */
#ifndef TEST_UNIT_AGENT_HOST_H
#define TEST_UNIT_AGENT_HOST_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/pod/client.h"
#include "common/error.h"
#include "proto/agent.pb-c.h"

#define HOST_CARD_TIMEOUT_MS 1000 /* of the agent: network_create() */

struct ev_loop;
struct storage_driver;

struct host {
	struct ev_loop *loop;
	struct streams *streams;
	struct uevents *uevents;
	struct network *network;
	struct client caller; /* a shim; a test may change it */
	struct sandbox *sandbox;
	struct ttrpc_server *server;
	struct ttrpc_client *client;
	unsigned int ndone; /* calls */
};

void host_init(struct host *host);
void host_init_storage(struct host *host, const struct storage_driver *drivers); /* with these */
void host_init_root(struct host *host, const char *root); /* the guest's files below it */
void host_init_pressure(struct host *host, const char *pressure_file);
void host_fini(struct host *host);
void host_reconnect(struct host *host); /* the answers to what was asked before come to nobody */

/* A call that is under way; its answer is here when @done. */
struct host_call {
	struct host *host;
	int64_t stdout_bytes; /* of a WaitProcess; -1: not told */
	int32_t status;       /* the same */
	unsigned int order;   /* among those that are done */
	bool done;
	bool oom;              /* of a WaitProcess */
	struct error err;      /* code ERROR_NONE: it succeeded */
	char container_id[64]; /* of a GetOOMEvent */
	char *data; /* of a ReadStdout, a ReadStderr or a GetMetrics, with a NUL; to be freed */
	size_t len; /* of the data, or as WriteStdin answers */
};

void host_turn(struct host *host); /* the loop, once */
void host_begin(struct host *host, const char *method, const ProtobufCMessage *request,
                struct host_call *call);
void host_finish(struct host *host, struct host_call *call); /* runs the loop until it is done */
/* Both; returns the error's code. */
enum error_code host_call(struct host *host, const char *method, const ProtobufCMessage *request,
                          struct host_call *call);

/* Opens a stream that comes from @port; returns its host end. */
int host_stream(const struct host *host, uint32_t port);

/* A container that is to run `sh -c @script`, its stdout to @port (0: none). */
enum error_code host_create(struct host *host, const char *id, const char *script, uint32_t port);
/* @bound: a file that it binds. */
enum error_code host_create_with_file(struct host *host, const char *id, const char *script,
                                      const char *bound);
enum error_code host_create_terminal(struct host *host, const char *id, const char *script);
enum error_code host_start(struct host *host, const char *id);
enum error_code host_signal(struct host *host, const char *id, const char *exec_id, uint32_t sig);
enum error_code host_remove(struct host *host, const char *id);
enum error_code host_exec(struct host *host, const char *id, const char *exec_id,
                          const char *script, const uint32_t ports[3]);
void host_begin_wait(struct host *host, const char *id, const char *exec_id,
                     struct host_call *call);
int host_wait(struct host *host, const char *id, const char *exec_id); /* status, or -code */

/* Reads @fd to its end, as the loop turns; the text is to be freed. */
char *host_read_all(struct host *host, int fd);

#endif
