/*
 * The daemon that serves a directory of the host to the guest: virtiofsd, in a sandbox of its own
 * making.
 */
#ifndef HYPERVISOR_VIRTIOFSD_H
#define HYPERVISOR_VIRTIOFSD_H

#include "common/cleanup.h"
#include "common/error.h"
#include "hypervisor/virtiofsd_config.h"

struct ev_loop;
struct virtiofsd;

/* The daemon has ended: @status as in proc.h, @err says how, with its last lines. */
typedef void virtiofsd_lost_fn(void *ctx, int status, const struct error *err);

/* Spawns the daemon and returns at once; *@vmm_fd (the caller's) is its vhost-user socket for the
 * VMM, already connected. Nothing stays in @run_dir. */
int virtiofsd_start(struct ev_loop *loop, const struct virtiofsd_config *config,
                    virtiofsd_lost_fn *on_lost, void *ctx, struct virtiofsd **out, int *vmm_fd,
                    struct error *err);
void virtiofsd_kill(struct virtiofsd *virtiofsd);    /* on_lost follows */
void virtiofsd_destroy(struct virtiofsd *virtiofsd); /* NULL is fine; kills it, no callback */

CLEANUP_DESTROY(virtiofsd)

#endif
