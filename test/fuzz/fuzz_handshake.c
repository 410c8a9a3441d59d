/*
 * What `start` is told on its standard input.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/error.h"
#include "shim/cli/command_line.h"
#include "shim/cli/handshake.h"
#include "test/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct command_line options = { .id = "c", .namespace = "default", .address = "" };
	autodestroy(handshake) struct handshake *handshake = NULL;
	autoclose int fd = memfd_create("stdin", MFD_CLOEXEC);
	ProtobufCBinaryData answer;
	struct error err = { 0 };

	if (pwrite(fd, data, size, 0) != (ssize_t)size)
		abort();
	if (handshake_read(&options, fd, &handshake, &err) < 0) {
		assert(!handshake && err.code == ERROR_INVALID_ARGUMENT);
		return 0;
	}
	assert(!handshake->socket_dir || *handshake->socket_dir);
	answer = handshake_answer(handshake->form, "unix:///run/containerd/s/0");
	assert(answer.len > 0);
	free(answer.data);
	return 0;
}
