#include "agent/launch/console.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agent/base/mount_tree.h"
#include "agent/launch/in_root.h"
#include "common/cleanup.h"
#include "common/error.h"

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

/*
 * A running container may have put anything at /dev/ptmx: only the device counts, and the slave is
 * asked of the master (TIOCGPTPEER), not looked up by a name.
 */
int console_open(int root, const Grpc__Box *size, struct console *out, struct error *err)
{
	autoclose int master = in_root_open(root, "/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK);
	struct winsize window = { 0 };
	struct stat st;
	int unlock = 0;
	int slave;

	errno = -master;
	if (master < 0 || fstat(master, &st) < 0)
		return error_errno(err, "cannot open \"/dev/ptmx\"");
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(5, 2))
		return error_set(err, ERROR_FAILED_PRECONDITION,
		                 "\"/dev/ptmx\" is not a pseudo-terminal multiplexer");
	if (ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return error_errno(err, "cannot unlock the terminal");
	if (size && (size->height || size->width)) {
		window.ws_row = size->height;
		window.ws_col = size->width;
		if (ioctl(master, TIOCSWINSZ, &window) < 0)
			return error_errno(err, "cannot set the size of the terminal");
	}
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return error_errno(err, "cannot open the terminal");
	*out = (struct console){ .master = take_fd(&master), .slave = slave };
	return 0;
}

bool console_is_master(int fd)
{
	struct stat st;
	int number;

	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(5, 2) &&
	       ioctl(fd, TIOCGPTN, &number) == 0;
}

int console_mount(int root, const struct console *console, struct error *err)
{
	autoclose int target = in_root_make(root, "/dev/console", S_IFREG, 0666, err);
	autoclose int tree = -1;

	if (target < 0)
		return target;
	tree = mount_tree_clone(console->slave, NULL, false);
	if (tree < 0 || mount_tree_attach(tree, target) < 0)
		return error_errno(err, "cannot bind the terminal to \"/dev/console\"");
	return 0;
}

int console_connect(struct console *console, struct error *err)
{
	int i;

	for (i = 0; i < 3; i++)
		if (dup2(console->slave, i) < 0)
			return error_errno(err, "cannot connect the terminal to descriptor %d", i);
	close(take_fd(&console->slave));
	return 0;
}

int console_control(struct error *err)
{
	return ioctl(STDIN_FILENO, TIOCSCTTY, 0) < 0
	               ? error_errno(err, "cannot set the controlling terminal")
	               : 0;
}
