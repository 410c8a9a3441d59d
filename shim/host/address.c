#include "shim/host/address.h"

#include <errno.h>
#include <fcntl.h>
#include <sha2.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/file.h"
#include "common/mem.h"
#include "common/unix_socket.h"

#define DIR_MODE 0711 /* of /run/containerd, if we are the first there */
#define BACKLOG  128

#define STAT_MAX     4096
#define FLAG_EXITING 0x4 /* PF_EXITING of linux/sched.h */

static const char hex_digits[] = "0123456789abcdef";

static int address_set(const char *dir, size_t dir_len, const char *name, struct address *out,
                       struct error *err)
{
	struct address address = { 0 };
	int n = snprintf(address.path, sizeof(address.path), "%.*s/%s", (int)dir_len, dir, name);

	if (n < 0 || (size_t)n >= sizeof(address.path))
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "invalid socket directory \"%.*s\": too long: a socket's path has "
		                 "at most %zu bytes",
		                 (int)dir_len, dir, sizeof(address.path) - 1);
	memcpy(address.pod, name, POD_NAME_LEN);
	*out = address;
	return 0;
}

int address_of(const char *dir, const char *containerd, const char *ns, const char *id,
               struct address *out, struct error *err)
{
	autofree char *text = mem_printf("%s/%s/%s", containerd, ns, id);
	char name[SHA256_DIGEST_STRING_LENGTH];

	SHA256Data((const uint8_t *)text, strlen(text), name);
	return address_set(dir, strlen(dir), name, out, err);
}

int address_parse(const char *uri, struct address *out, struct error *err)
{
	size_t scheme = strlen(ADDRESS_URI);
	const char *name = strrchr(uri, '/');

	if (strncmp(uri, ADDRESS_URI "/", scheme + 1) != 0 || name < uri + scheme ||
	    strlen(name + 1) != ADDRESS_NAME_LEN ||
	    strspn(name + 1, hex_digits) != ADDRESS_NAME_LEN)
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "invalid shim address \"%s\": not " ADDRESS_URI "DIRECTORY/SHA256",
		                 uri);
	return address_set(uri + scheme, name - uri - scheme, name + 1, out, err);
}

int address_connect(const struct address *address)
{
	return unix_socket_connect(address->path);
}

bool address_is_served(const struct address *address)
{
	autoclose int fd = address_connect(address);

	return fd >= 0 || (fd != -ECONNREFUSED && fd != -ENOENT);
}

/* Field 9 of /proc/PID/stat (proc(5)): the flags of the process, of which this says that it ends. */
static bool is_exiting(pid_t pid)
{
	autofree char *path = mem_printf("/proc/%d/stat", (int)pid);
	autofree char *stat = NULL;
	const char *fields;
	unsigned int flags;

	if (file_read(AT_FDCWD, path, STAT_MAX, &stat, NULL) < 0)
		return true;
	fields = strrchr(stat, ')'); /* the end of the name, in which there may be anything */
	return fields && sscanf(fields, ") %*c %*d %*d %*d %*d %*d %u", &flags) == 1 &&
	       flags & FLAG_EXITING;
}

bool address_is_ending(const struct address *address)
{
	autoclose int fd = address_connect(address);
	pid_t server = fd >= 0 ? unix_socket_listener(fd) : 0;

	return server > 0 && is_exiting(server);
}

static int make_dir_of(const struct address *address, struct error *err)
{
	autofree char *dir = mem_strdup(address->path);

	*strrchr(dir, '/') = '\0';
	return file_make_dirs(dir, DIR_MODE, err);
}

int address_listen(const struct address *address, struct error *err)
{
	int r = make_dir_of(address, err);

	if (r < 0)
		return r;
	if (address_is_served(address))
		return error_set(err, ERROR_ALREADY_EXISTS, "a shim listens on \"%s\" already",
		                 address->path);
	if (unlink(address->path) < 0 && errno != ENOENT)
		return error_errno(err, "cannot remove stale socket \"%s\"", address->path);
	return unix_socket_listen(address->path, BACKLOG, err);
}

int address_serve(int listen_fd, struct error *err)
{
	return unix_socket_adopt(listen_fd, BACKLOG, err);
}
