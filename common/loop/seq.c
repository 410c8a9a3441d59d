#include "common/loop/seq.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "common/buf.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/monotonic.h"

#define LINE_MAX_BYTES 2000
#define NS_PER_MS      1e6

enum seq_state {
	SEQ_IDLE,    /* seq_start() has not been called */
	SEQ_RUNNING, /* forwards: steps[at] runs */
	SEQ_UNDOING, /* backwards: steps[at] is undone, or was the last to run */
	SEQ_ENDED,   /* @done has been called */
};

/*
 * A step answers from within its function, which only leaves a verdict for the loop that called it,
 * or later, which runs the loop again. Every function called here may destroy the seq.
 */
enum verdict {
	VERDICT_NONE,
	VERDICT_NEXT,
	VERDICT_FAIL,
};

struct seq {
	char *title;
	const struct seq_step *steps;
	void *ctx;
	done_fn *done;
	enum seq_state state;
	size_t at;
	enum verdict verdict;
	bool quiet;
	bool inside;    /* a step's function is on the stack */
	bool cancelled; /* undo before the next step */
	bool destroyed; /* by a step's function: the loop frees it when that returns */
	struct error cause;
	const char *failed;      /* the name of the step that failed, or was cancelled */
	int64_t started_ns;      /* the sequence */
	int64_t step_started_ns; /* the running step */
	struct buf durations;    /* " <step>=<ms>" of each finished step */
};

static double ms_since(int64_t start_ns)
{
	return (double)(monotonic_ns() - start_ns) / NS_PER_MS;
}

struct seq *seq_create(const char *title, const struct seq_step *steps, void *ctx, done_fn *done)
{
	struct seq *seq = mem_new(struct seq);

	seq->title = mem_strdup(title);
	seq->steps = steps;
	seq->ctx = ctx;
	seq->done = done;
	seq->durations.max = LINE_MAX_BYTES;
	return seq;
}

void seq_destroy(struct seq *seq)
{
	if (!seq)
		return;
	seq->destroyed = true;
	if (seq->inside)
		return;
	buf_fini(&seq->durations);
	free(seq->title);
	free(seq);
}

static void note_duration(struct seq *seq)
{
	autofree char *key = mem_strdup(seq->steps[seq->at].name);

	for (char *c = key; *c; c++)
		if (*c == ' ')
			*c = '-';
	/* A line too long says less of its end. */
	buf_printf(&seq->durations, " %s=%.1f", key, ms_since(seq->step_started_ns));
}

static void log_end(const struct seq *seq)
{
	const char *durations = seq->durations.len ? buf_data(&seq->durations) : "";

	if (seq->state == SEQ_RUNNING)
		log_write(seq->quiet ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO, "%s done ms=%.1f%.*s",
		          seq->title, ms_since(seq->started_ns), (int)seq->durations.len,
		          durations);
	else
		log_info("%s failed step=\"%s\" ms=%.1f%.*s error=\"%s\"", seq->title,
		         seq->failed ? seq->failed : "none", ms_since(seq->started_ns),
		         (int)seq->durations.len, durations, seq->cause.text);
}

/* Its last act is @done, which may free the seq. */
static void finish(struct seq *seq)
{
	bool failed = seq->state == SEQ_UNDOING;
	struct error cause;

	log_end(seq);
	seq->state = SEQ_ENDED;
	error_copy(&cause, &seq->cause);
	seq->done(seq->ctx, failed ? &cause : NULL);
}

/* Takes the verdict on the step that ran. steps[at] becomes the next to run; backwards, steps[at -
 * 1] is the next to undo. */
static void advance(struct seq *seq, enum verdict verdict)
{
	if (seq->state == SEQ_UNDOING)
		return;
	note_duration(seq);
	if (verdict == VERDICT_NEXT)
		seq->at++;
	if (verdict == VERDICT_FAIL)
		seq->failed = seq->steps[seq->at].name;
	if (verdict == VERDICT_FAIL || seq->cancelled)
		seq->state = SEQ_UNDOING;
}

/* The next function to call, or NULL at the end. */
static seq_fn *next_function(struct seq *seq)
{
	if (seq->state == SEQ_RUNNING) {
		seq->step_started_ns = monotonic_ns();
		return seq->steps[seq->at].name ? seq->steps[seq->at].run : NULL;
	}
	while (seq->at > 0) {
		seq->at--;
		if (seq->steps[seq->at].undo)
			return seq->steps[seq->at].undo;
	}
	return NULL;
}

/* Drops what the running step waits for, once the seq is cancelled. True: the step is over. */
static bool cancel_step(struct seq *seq)
{
	const struct seq_step *step = &seq->steps[seq->at];

	if (seq->state != SEQ_RUNNING || !seq->cancelled || !step->cancel)
		return false;
	step->cancel(seq, seq->ctx);
	return true;
}

/* Calls functions until one has not ended yet, or all have. */
static void loop(struct seq *seq)
{
	seq_fn *function;

	while ((function = next_function(seq))) {
		seq->verdict = VERDICT_NONE;
		seq->inside = true;
		function(seq, seq->ctx);
		seq->inside = false;
		if (seq->destroyed) {
			seq_destroy(seq);
			return;
		}
		if (seq->verdict == VERDICT_NONE && cancel_step(seq))
			seq->verdict = VERDICT_FAIL;
		if (seq->verdict == VERDICT_NONE)
			return;
		advance(seq, seq->verdict);
	}
	finish(seq);
}

void seq_set_quiet(struct seq *seq)
{
	seq->quiet = true;
}

void seq_start(struct seq *seq)
{
	assert(seq->state == SEQ_IDLE);
	seq->state = seq->cancelled ? SEQ_UNDOING : SEQ_RUNNING;
	seq->started_ns = monotonic_ns();
	loop(seq);
}

static void answer(struct seq *seq, enum verdict verdict)
{
	assert(seq->state == SEQ_RUNNING || seq->state == SEQ_UNDOING);
	assert(seq->verdict == VERDICT_NONE); /* a step ends once */
	seq->verdict = verdict;
	if (seq->inside)
		return;
	advance(seq, verdict);
	loop(seq);
}

void seq_next(struct seq *seq)
{
	answer(seq, VERDICT_NEXT);
}

void seq_fail(struct seq *seq, const struct error *err)
{
	if (seq->state == SEQ_UNDOING)
		log_warn("%s: undo \"%s\" failed error=\"%s\"", seq->title,
		         seq->steps[seq->at].name, err->text);
	else if (!seq->cancelled)
		error_copy(&seq->cause, err);
	answer(seq, VERDICT_FAIL);
}

void seq_resume(void *seq, const struct error *err)
{
	if (err)
		seq_fail(seq, err);
	else
		seq_next(seq);
}

void seq_cancel(struct seq *seq, const struct error *why)
{
	if (seq->state > SEQ_RUNNING || seq->cancelled || seq->verdict == VERDICT_FAIL)
		return;
	seq->cancelled = true;
	error_copy(&seq->cause, why);
	if (seq->state == SEQ_IDLE || seq->inside)
		return;                     /* seq_start() or the loop on the stack will see it */
	assert(seq->steps[seq->at].cancel); /* it waits */
	cancel_step(seq);
	answer(seq, VERDICT_FAIL);
}
