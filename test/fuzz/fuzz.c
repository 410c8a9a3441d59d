#include "test/fuzz/fuzz.h"

#include <ev.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/mem.h"

#define PIECE_MAX (64 << 10)
#define MS_PER_S  1000
#define NS_PER_MS 1000000
#define NS_PER_S  1000000000
#define TURNS     3 /* of the loop, in which one callback may wake another */

static struct timespec now = { .tv_sec = 1000 };

/* The C library's is behind this one. libFuzzer's own time is that of CLOCK_REALTIME. */
int clock_gettime(clockid_t clock, struct timespec *out)
{
	if (clock != CLOCK_MONOTONIC)
		return (int)syscall(SYS_clock_gettime, clock, out);
	*out = now;
	return 0;
}

void fuzz_pass(uint32_t ms)
{
	now.tv_sec += ms / MS_PER_S;
	now.tv_nsec += (long)(ms % MS_PER_S) * NS_PER_MS;
	if (now.tv_nsec >= NS_PER_S) {
		now.tv_sec++;
		now.tv_nsec -= NS_PER_S;
	}
}

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
