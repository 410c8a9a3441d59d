#include "shim/stdio_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "common/error.h"
#include "common/mem.h"
#include "shim/stdio.h"
#include "shim/stdio_uri.h"

struct stdio_sink {
	int out;
	int err;
};

/* Both ends of a FIFO are kept, so that opening needs no reader, and a reader that goes and comes
 * back (containerd's restart) loses nothing and breaks nothing. */
static int open_fifo(const char *path, int *out, struct error *err)
{
	autoclose int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, "open '%s' for output", path);
	if (!S_ISFIFO(st.st_mode))
		return error_set(err, ERROR_INVALID_ARGUMENT, "open '%s' for output: it is no FIFO",
		                 path);
	*out = take_fd(&fd);
	return 0;
}

static int open_output(const char *text, int *out, struct error *err)
{
	struct stdio_uri uri;
	int r = stdio_uri_parse(text, &uri, err);

	if (r == 0 && uri.kind == STDIO_FIFO)
		r = open_fifo(uri.path, out, err);
	else if (r == 0 && uri.kind != STDIO_NONE)
		r = error_set(err, ERROR_UNIMPLEMENTED, "output to '%s' is not supported", text);
	stdio_uri_fini(&uri);
	return r;
}

int stdio_sink_open(struct ev_loop *loop, const struct stdio_config *config,
                    struct stdio_sink **out, struct error *err)
{
	autodestroy(stdio_sink) struct stdio_sink *sink = mem_new(struct stdio_sink);
	int r;

	sink->out = sink->err = -1;
	r = open_output(config->out, &sink->out, err);
	if (r == 0 && !config->terminal)
		r = open_output(config->err, &sink->err, err);
	if (r == 0)
		*out = take_ptr(&sink);
	return r;
}

int stdio_sink_take_out(struct stdio_sink *sink)
{
	return take_fd(&sink->out);
}

int stdio_sink_take_err(struct stdio_sink *sink)
{
	return take_fd(&sink->err);
}

void stdio_sink_destroy(struct stdio_sink *sink)
{
	if (!sink)
		return;
	cleanup_close(&sink->out);
	cleanup_close(&sink->err);
	free(sink);
}
