#include "test/fuzz/fuzz.h"

#include <ev.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/log.h"
#include "common/mem.h"

#define PIECE_MAX (64 << 10)
#define TURNS     3 /* of the loop, in which one callback may wake another */

/* What is logged is made in full, and goes nowhere. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	signal(SIGPIPE, SIG_IGN);
	log_open(open("/dev/null", O_WRONLY | O_CLOEXEC));
	log_set_level(LOG_LEVEL_DEBUG);
	return 0;
}

uint8_t script_byte(struct script *script)
{
	if (!script->left)
		return 0;
	script->left--;
	return *script->at++;
}

uint32_t script_number(struct script *script)
{
	uint32_t number = 0;

	for (int i = 0; i < 32; i += 8)
		number |= (uint32_t)script_byte(script) << i;
	return number;
}

/* A length of one byte, or two when its first is 255. */
const uint8_t *script_bytes(struct script *script, size_t *len)
{
	const uint8_t *bytes;

	*len = script_byte(script);
	if (*len == UINT8_MAX)
		*len = (size_t)script_byte(script) * (PIECE_MAX / 256);
	if (*len > script->left)
		*len = script->left;
	bytes = script->at;
	script->at += *len;
	script->left -= *len;
	return bytes;
}

char *script_text(struct script *script)
{
	size_t len;
	const uint8_t *bytes = script_bytes(script, &len);
	char *text = mem_alloc(len + 1);

	if (len)
		memcpy(text, bytes, len);
	return text;
}

struct ev_loop *fuzz_loop(void)
{
	static struct ev_loop *loop;

	if (!loop)
		loop = ev_loop_new(EVBACKEND_POLL);
	return loop;
}

void fuzz_turn(void)
{
	for (int i = 0; i < TURNS; i++)
		ev_run(fuzz_loop(), EVRUN_NOWAIT);
}

int fuzz_socket(int *peer)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) < 0)
		abort();
	*peer = ends[1];
	return ends[0];
}

void fuzz_send(int peer, const void *data, size_t len)
{
	(void)!send(peer, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void fuzz_send_bytes(int peer, struct script *script)
{
	size_t len;
	const uint8_t *bytes = script_bytes(script, &len);

	fuzz_send(peer, bytes, len);
}

size_t fuzz_receive(int peer, void *data, size_t size)
{
	ssize_t n = recv(peer, data, size, MSG_DONTWAIT);

	return n > 0 ? (size_t)n : 0;
}
