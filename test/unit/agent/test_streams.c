#include "agent/pod/streams.h"

#include <criterion/criterion.h>
#include <ev.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/error.h"

/* Unix sockets stand in for vsock: a peer's port is its abstract name. */
static struct sockaddr_un name_of(unsigned int port, socklen_t *len)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };

	*len = offsetof(struct sockaddr_un, sun_path) + 1 +
	       snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "%d.%u", (int)getpid(), port);
	return name;
}

static int peer_port(int fd, uint32_t *port, struct error *err)
{
	struct sockaddr_un name = { 0 };
	socklen_t len = sizeof(name);

	if (getpeername(fd, (struct sockaddr *)&name, &len) < 0 ||
	    sscanf(name.sun_path + 1, "%*d.%u", port) != 1)
		return error_set(err, ERROR_PERMISSION_DENIED, "not the host");
	return 0;
}

static int new_listener(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	socklen_t len;
	struct sockaddr_un name = name_of(0, &len);

	cr_assert_eq(bind(fd, (struct sockaddr *)&name, len), 0);
	cr_assert_eq(listen(fd, 100), 0);
	return fd;
}

/* @port 0: no name, as a peer that is not the host. */
static int connect_from(unsigned int port)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	socklen_t len;
	struct sockaddr_un name = name_of(port, &len);

	if (port)
		cr_assert_eq(bind(fd, (struct sockaddr *)&name, len), 0);
	name = name_of(0, &len);
	cr_assert_eq(connect(fd, (struct sockaddr *)&name, len), 0);
	return fd;
}

Test(streams, a_call_finds_the_stream_that_was_opened_before_it)
{
	struct ev_loop *loop = ev_loop_new(0);
	struct streams *streams = streams_create(loop, new_listener(), peer_port);
	int ends[3], fd;
	char byte;

	for (unsigned int i = 0; i < 3; i++)
		ends[i] = connect_from(100 + i);
	cr_assert_eq(streams_claim(streams, 101, &fd, NULL), 0, "the loop has not run yet");
	cr_assert_eq(write(fd, "x", 1), 1);
	cr_assert_eq(read(ends[1], &byte, 1), 1);
	close(fd);
	streams_destroy(streams);
	cr_assert_eq(read(ends[0], &byte, 1), 0, "unclaimed ones are closed");
	ev_loop_destroy(loop);
}

Test(streams, is_claimed_once_and_by_its_own_port)
{
	struct ev_loop *loop = ev_loop_new(0);
	struct streams *streams = streams_create(loop, new_listener(), peer_port);
	struct error err;
	int fd;

	connect_from(7);
	cr_assert_lt(streams_claim(streams, 8, &fd, &err), 0);
	cr_assert_eq(err.code, ERROR_NOT_FOUND);
	cr_assert(strstr(err.text, "port 8"));
	cr_assert_eq(streams_claim(streams, 7, &fd, &err), 0);
	cr_assert_lt(streams_claim(streams, 7, &fd, &err), 0);
	close(fd);
	streams_destroy(streams);
	ev_loop_destroy(loop);
}

Test(streams, who_is_not_the_host_is_turned_away)
{
	struct ev_loop *loop = ev_loop_new(0);
	struct streams *streams = streams_create(loop, new_listener(), peer_port);
	int fd = connect_from(0);
	char byte;

	ev_run(loop, EVRUN_ONCE);
	cr_assert_eq(read(fd, &byte, 1), 0);
	streams_destroy(streams);
	ev_loop_destroy(loop);
}

Test(streams, output_flows_on_without_its_process)
{
	struct ev_loop *loop = ev_loop_new(0);
	struct streams *streams = streams_create(loop, new_listener(), peer_port);
	int out = connect_from(9), pipes[2], fd;
	char text[16];

	cr_assert_eq(streams_claim(streams, 9, &fd, NULL), 0);
	cr_assert_eq(pipe(pipes), 0);
	streams_drain(streams, 9, pipes[0], fd);
	cr_assert_eq(write(pipes[1], "late", 4), 4);
	close(pipes[1]);
	while (recv(out, text, sizeof(text), MSG_DONTWAIT | MSG_PEEK) != 4)
		ev_run(loop, EVRUN_ONCE);
	cr_assert_eq(read(out, text, sizeof(text)), 4);
	ev_run(loop, EVRUN_NOWAIT);
	cr_assert_eq(read(out, text, sizeof(text)), 0);
	close(out);
	ev_run(loop, EVRUN_ONCE);
	streams_destroy(streams);
	ev_loop_destroy(loop);
}

Test(streams, what_was_written_is_counted_until_it_has_ended)
{
	struct ev_loop *loop = ev_loop_new(0);
	struct streams *streams = streams_create(loop, new_listener(), peer_port);
	int out = connect_from(9), pipes[2], fd;
	uint64_t bytes = 0;
	char text[16];

	cr_assert_eq(streams_claim(streams, 9, &fd, NULL), 0);
	cr_assert_eq(pipe(pipes), 0);
	cr_assert_not(streams_written(streams, 9, &bytes));
	streams_drain(streams, 9, pipes[0], fd);
	cr_assert_eq(write(pipes[1], "one", 3), 3);
	cr_assert(streams_written(streams, 9, &bytes));
	cr_assert_eq(bytes, 3, "it waits in the pipe");
	while (recv(out, text, sizeof(text), MSG_DONTWAIT | MSG_PEEK) != 3)
		ev_run(loop, EVRUN_ONCE);
	cr_assert_eq(write(pipes[1], "three", 5), 5);
	cr_assert(streams_written(streams, 9, &bytes));
	cr_assert_eq(bytes, 8);
	cr_assert_not(streams_written(streams, 10, &bytes));
	close(pipes[1]);
	while (recv(out, text, sizeof(text), MSG_DONTWAIT | MSG_PEEK) != 8)
		ev_run(loop, EVRUN_ONCE);
	close(out);
	while (streams_written(streams, 9, &bytes))
		ev_run(loop, EVRUN_ONCE);
	streams_destroy(streams);
	ev_loop_destroy(loop);
}
