/*
 * A sequence of named steps, each of which ends at once or later. If a step fails, the finished
 * steps are undone.
 *
 * A step's run function ends in seq_next() or seq_fail(), at once or from a later callback. A
 * failure, or seq_cancel(), undoes the finished steps, newest first; undos end in seq_next() or
 * seq_fail() too: their errors are logged and undoing goes on. The step that failed is not undone:
 * it cleans up after itself. Steps that end at once run in a loop, not by recursion.
 */
#ifndef COMMON_SEQ_H
#define COMMON_SEQ_H

#include "common/error.h"

struct seq;

typedef void seq_fn(struct seq *seq, void *ctx);

struct seq_step {
	const char *name; /* for the log: "boot the guest" */
	seq_fn *run;
	seq_fn *undo;   /* NULL: nothing to undo */
	seq_fn *cancel; /* drops the call that the step waits for; NULL: it never waits */
};

/*
 * Runs @steps (ended by a zero row; they outlive the seq). @done is called once, when the last step
 * has ended or when undoing has: it may be called before seq_start() returns if every step ends at
 * once, and may destroy the seq.
 * @title and each step's duration in milliseconds are logged: one info line per sequence, so a slow
 * start explains itself and a failed one says where: "<title> done ms=… <step>=…", or "<title>
 * failed step="<the step>" ms=… <step>=… error="…"", the last duration being that of the step that
 * failed.
 * @title is copied.
 */
struct seq *seq_create(const char *title, const struct seq_step *steps, void *ctx, done_fn *done);
void seq_set_quiet(struct seq *seq); /* that it is done is logged at debug level only */
void seq_start(struct seq *seq);
void seq_destroy(struct seq *seq); /* NULL is fine; undoes nothing and does not call @done */

void seq_next(struct seq *seq);
void seq_fail(struct seq *seq, const struct error *err);
/* A done_fn: seq_next() or, with an error, seq_fail(). Pass it with the seq as its ctx. */
void seq_resume(void *seq, const struct error *err);

/* Stops the running step (by its cancel function) and undoes the others; @done gets @why. Does
 * nothing if the seq is undoing already. */
void seq_cancel(struct seq *seq, const struct error *why);

#endif
