/*
 * A guest that writes anything to its console, of which the last words go into an error text.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "hypervisor/console.h"
#include "shim/pod/last_words.h"
#include "test/fuzz/fuzz.h"

#define REPEATS_MAX 8
#define TAIL_MAX    ((size_t)2 * CONSOLE_KEPT)

static void show(const struct console *console, size_t size)
{
	char tail[TAIL_MAX];
	char text[ERROR_TEXT_MAX] = "the VM has ended";

	console_tail(console, tail, size);
	assert(strlen(tail) < size);
	for (const char *c = tail; *c; c++)
		assert(*c >= ' ' && *c < 0x7f);
	last_words_add(text, sizeof(text), tail);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script script = { data, size };
	struct console *console;
	int fd;

	if (console_create(fuzz_loop(), "guest", &console, &fd, NULL) < 0)
		abort();
	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (script.left) {
		uint8_t repeats = script_byte(&script);
		size_t len;
		const uint8_t *piece = script_bytes(&script, &len);

		for (int i = 0; i <= repeats % REPEATS_MAX; i++)
			(void)!write(fd, piece, len);
		fuzz_turn();
		show(console, 1 + script_byte(&script) * 64U);
	}
	console_drain(console);
	show(console, TAIL_MAX);
	close(fd);
	fuzz_turn();
	console_destroy(console);
	return 0;
}
