/*
 * The last bytes of what a child writes: a guest's console with its VMM's stderr, a daemon's
 * stderr. Kept for error texts, bounded.
 */
#ifndef HYPERVISOR_CONSOLE_H
#define HYPERVISOR_CONSOLE_H

#include <stddef.h>

#include "common/cleanup.h"

struct console;
struct error;
struct ev_loop;

#define CONSOLE_KEPT (8 << 10) /* bytes */

/* @name is what its lines are logged under at debug level. *@write_fd (the caller's) is for the
 * child. */
int console_create(struct ev_loop *loop, const char *name, struct console **out, int *write_fd,
                   struct error *err);
void console_destroy(struct console *console); /* NULL is fine */

/* Takes what has been written and not been read yet: of a child that has just ended. */
void console_drain(struct console *console);

/*
 * The last whole lines that fit, as one line of printable text: " | " between them, '?' for any
 * other byte. At most @size - 1 bytes; empty when nothing was written.
 */
void console_tail(const struct console *console, char *text, size_t size);

CLEANUP_DESTROY(console)

#endif
