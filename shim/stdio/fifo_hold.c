#include "shim/stdio/fifo_hold.h"

#include <ev.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "common/mem.h"

/*
 * An end for reading keeps what is in a FIFO, but hides whether anybody else has one. An end for
 * writing keeps it too, and poll(2) says on it whether there is a reader; but while it is open no
 * reader comes to the end of file, and without it who opens the FIFO for reading waits for ever. So
 * after the end it is the one for writing until a reader is there, and then the one for reading.
 * Nothing wakes us when a reader comes: it is looked for, more and more rarely.
 */

#define LOOK_FIRST_S 0.001
#define LOOK_MOST_S  0.1

struct fifo_hold {
	struct ev_loop *loop;
	unsigned int owners;
	unsigned int writers; /* of the owners: those that have not ended it */
	int write_fd;         /* -1: closed */
	int read_fd;
	bool had_bytes; /* that a reader was to take, after the end */
	ev_timer look;
	ev_tstamp pause;
};

static void close_end(int *fd)
{
	cleanup_close(fd);
	*fd = -1;
}

/* Opens the FIFO again by one of its descriptors: in another mode. */
static int reopen(int fd, int flags)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, flags | O_NONBLOCK | O_CLOEXEC);
}

static bool has_no_reader(int write_fd)
{
	struct pollfd end = { .fd = write_fd };

	return poll(&end, 1, 0) == 1 && (end.revents & POLLERR);
}

size_t fifo_hold_unread(const struct fifo_hold *hold)
{
	int fd = hold->write_fd >= 0 ? hold->write_fd : hold->read_fd;
	int bytes = 0;

	return fd >= 0 && ioctl(fd, FIONREAD, &bytes) == 0 ? (size_t)bytes : 0;
}

bool fifo_hold_has_no_reader(struct fifo_hold *hold)
{
	bool had_reader = hold->read_fd >= 0, had_writer = hold->write_fd >= 0, deserted;

	if (!had_writer && had_reader)
		hold->write_fd = reopen(hold->read_fd, O_WRONLY);
	if (hold->write_fd < 0)
		return false;
	close_end(&hold->read_fd);
	deserted = has_no_reader(hold->write_fd);
	if (had_reader)
		hold->read_fd = reopen(hold->write_fd, O_RDONLY);
	if (!had_writer && hold->read_fd >= 0)
		close_end(&hold->write_fd);
	return deserted;
}

/* After the end. */
static void check_reader(struct fifo_hold *hold)
{
	bool was_read = hold->had_bytes && !fifo_hold_unread(hold);

	if (was_read) {
		close_end(&hold->write_fd);
	} else if (!has_no_reader(hold->write_fd)) {
		if (fifo_hold_unread(hold))
			hold->read_fd = reopen(hold->write_fd, O_RDONLY);
		close_end(&hold->write_fd);
	} else {
		hold->had_bytes |= fifo_hold_unread(hold) > 0;
		ev_timer_set(&hold->look, hold->pause, 0);
		ev_timer_start(hold->loop, &hold->look);
		if (hold->pause < LOOK_MOST_S)
			hold->pause *= 2;
	}
}

static void on_check(struct ev_loop *loop, ev_timer *timer, int events)
{
	check_reader(timer->data);
}

struct fifo_hold *fifo_hold_create(struct ev_loop *loop, int write_fd, int read_fd)
{
	struct fifo_hold *hold = mem_new(struct fifo_hold);

	hold->loop = loop;
	hold->owners = hold->writers = 1;
	hold->write_fd = write_fd;
	hold->read_fd = read_fd;
	hold->pause = LOOK_FIRST_S;
	ev_timer_init(&hold->look, on_check, 0, 0);
	hold->look.data = hold;
	return hold;
}

struct fifo_hold *fifo_hold_share(struct fifo_hold *hold)
{
	hold->owners++;
	hold->writers++;
	return hold;
}

void fifo_hold_end(struct fifo_hold *hold)
{
	if (--hold->writers)
		return;
	close_end(&hold->read_fd);
	check_reader(hold);
}

void fifo_hold_destroy(struct fifo_hold *hold)
{
	if (!hold || --hold->owners)
		return;
	ev_timer_stop(hold->loop, &hold->look);
	close_end(&hold->write_fd);
	close_end(&hold->read_fd);
	free(hold);
}
