/*
 * The device's words: a line on stderr, which its parent reads when the device has ended.
 */
#ifndef HYPERVISOR_VHOST_SAY_H
#define HYPERVISOR_VHOST_SAY_H

/* By write(2) alone: dprintf(3) would seek, too, and that is not allowed here. */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
