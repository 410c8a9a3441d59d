#include "agent/guest/swap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/swap.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/error.h"

#define MAGIC   "SWAPSPACE2"
#define VERSION 1
#define BOOT    1024 /* bytes for whoever starts from the disk */

struct header {
	char boot[BOOT];
	uint32_t version;
	uint32_t last_page;
	uint32_t bad_pages;
	char rest[SWAP_PAGE - BOOT - 3 * sizeof(uint32_t) - sizeof(MAGIC) + 1];
	char magic[sizeof(MAGIC) - 1];
};

_Static_assert(sizeof(struct header) == SWAP_PAGE, "the kernel's layout");

int swap_write_header(int fd, uint64_t bytes, struct error *err)
{
	const uint64_t pages = bytes / SWAP_PAGE;
	struct header header = {
		.version = VERSION,
		.last_page = pages > UINT32_MAX ? UINT32_MAX : (uint32_t)(pages - 1),
	};
	ssize_t n;

	if (pages < SWAP_PAGES_MIN)
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "a disk of %llu bytes is too small to swap to",
		                 (unsigned long long)bytes);
	memcpy(header.magic, MAGIC, sizeof(header.magic));
	n = pwrite(fd, &header, sizeof(header), 0);
	if (n == sizeof(header) && fsync(fd) == 0)
		return 0;
	if (n >= 0 && n != sizeof(header))
		errno = EIO;
	return error_errno(err, "cannot write to the disk");
}

int swap_begin(const char *node, struct error *err)
{
	autoclose int fd = open(node, O_RDWR | O_CLOEXEC);
	uint64_t bytes = 0;

	if (fd < 0 || ioctl(fd, BLKGETSIZE64, &bytes) < 0)
		return error_errno(err, "cannot open the disk \"%s\"", node);
	if (swap_write_header(fd, bytes, err) < 0)
		return error_code_errno(err->code);
	if (swapon(node, 0) < 0)
		return error_errno(err, "cannot swap to \"%s\"", node);
	return 0;
}
