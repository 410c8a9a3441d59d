/*
 * The host's side of the guest's vsock: streams to guest ports, listeners for what the guest opens,
 * and FIFOs handed over so that their bytes never pass through this process. Today's implementation
 * is our vhost-user device in a process of its own (hypervisor/vsock/); the kernel's vhost-vsock
 * can be a second one behind this header.
 */
#ifndef HYPERVISOR_VSOCK_H
#define HYPERVISOR_VSOCK_H

#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"

struct ev_loop;
struct vsock;
struct vsock_stream;

struct vsock_config {
	const char *device_path; /* the device's executable */
	const char
		*dir; /* its directory, made by the caller and owned by @uid: sockets and chroot */
	uint32_t guest_cid;
	uid_t uid;
	gid_t gid;
	const int *oom_score_adj; /* proc(5); NULL: as this process's */
};

/* The device process has ended: @status as in proc.h, @err says how. The pod is lost. */
typedef void vsock_lost_fn(void *ctx, int status, const struct error *err);

/* Spawns the device; *@vmm_fd (owned by the caller) is the vhost-user socket for the VMM. */
int vsock_start(struct ev_loop *loop, const struct vsock_config *config, vsock_lost_fn *on_lost,
                void *ctx, struct vsock **out, int *vmm_fd, struct error *err);
void vsock_destroy(struct vsock *vsock); /* NULL is fine; kills the device, removes its sockets,
                                            drops callbacks */
void vsock_kill(struct vsock *vsock);    /* the device; on_lost follows */
pid_t vsock_pid(const struct vsock *vsock);

/* A plain stream to a guest port. @fd is the callee's; -1 with an error. */
typedef void vsock_connected_fn(void *ctx, int fd, const struct error *err);
int vsock_connect(struct vsock *vsock, uint32_t guest_port, int timeout_ms,
                  vsock_connected_fn *done, void *ctx, struct error *err);

/* The guest connected to @host_port (CID 2). @fd is the callee's. */
typedef void vsock_accepted_fn(void *ctx, int fd);
int vsock_listen(struct vsock *vsock, uint32_t host_port, vsock_accepted_fn *on_accept, void *ctx,
                 struct error *err);
/* From now on the guest is refused there. Not from within @on_accept. */
void vsock_unlisten(struct vsock *vsock, uint32_t host_port);

/* Connections and streams that the device serves at once; it refuses one more by name. */
#define VSOCK_STREAMS_MAX 768

/* Which way a handed-over descriptor is served. */
enum vsock_direction {
	VSOCK_READ,  /* the device reads from the fd and sends to the guest: stdin */
	VSOCK_WRITE, /* the device writes what the guest sends to the fd: stdout, stderr */
};

/* The stream is open at the guest; @host_port is what the guest sees as the peer's port. */
typedef void vsock_opened_fn(void *ctx, uint32_t host_port, const struct error *err);

/*
 * Opens a stream to @guest_port whose host end is a descriptor: @fd (taken over), or -1 to hand it
 * over later by vsock_stream_attach(). @on_open is called once. @on_done is called once after a
 * successful @on_open: every byte is in the fd (or, VSOCK_READ, at the guest) and the device has
 * closed it; with an error: why they are not.
 */
int vsock_stream_open(struct vsock *vsock, uint32_t guest_port, enum vsock_direction direction,
                      int fd, int timeout_ms, vsock_opened_fn *on_open, done_fn *on_done, void *ctx,
                      struct vsock_stream **out, struct error *err);
/*
 * The same for a connected socket @fd (taken over), which is served both ways: half closes go on to
 * the other side. @greeting, one word, and a newline are the first that the guest gets. @on_done
 * with an error: the stream was reset, which is what the socket's peer sees too.
 */
int vsock_stream_open_duplex(struct vsock *vsock, uint32_t guest_port, const char *greeting, int fd,
                             int timeout_ms, vsock_opened_fn *on_open, done_fn *on_done, void *ctx,
                             struct vsock_stream **out, struct error *err);
int vsock_stream_attach(struct vsock_stream *stream, int fd,
                        struct error *err); /* takes @fd over */
/* How far a stream has come, as far as the device has been heard. */
struct vsock_progress {
	uint64_t moved; /* bytes through the descriptor; of a duplex one, the guest's */
	uint64_t
		kept; /* VSOCK_WRITE: the guest's, for which it has no room; dropped, if it failed */
};
/* As last told: by the answer to vsock_stream_moved(), or before on_done. */
const struct vsock_progress *vsock_stream_progress(const struct vsock_stream *stream);
/* Asks the device for it; @fn is called at most once. Who waits for a reader asks again and again,
 * to tell a slow one from one that has stopped. */
typedef void vsock_moved_fn(void *ctx, const struct error *err);
int vsock_stream_moved(struct vsock_stream *stream, vsock_moved_fn *fn, void *ctx,
                       struct error *err);
void vsock_stream_destroy(
	struct vsock_stream *stream); /* NULL is fine; aborts a stream that is not done */

#endif
