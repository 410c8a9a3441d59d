/*
 * What the fuzz targets share: an input that is read as a script, and the far end of a socket.
 * Each target defines LLVMFuzzerTestOneInput() (llvm.org/docs/LibFuzzer.html).
 */
#ifndef TEST_FUZZ_FUZZ_H
#define TEST_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ev_loop;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is left of the input. Past its end all is 0 and empty: any bytes are a script. */
struct script {
	const uint8_t *at;
	size_t left;
};

uint8_t script_byte(struct script *script);
uint32_t script_number(struct script *script); /* of four bytes, the lowest first */
/* A piece of *@len bytes, whose length is the script's; at most 64 KiB. */
const uint8_t *script_bytes(struct script *script, size_t *len);
char *script_text(struct script *script); /* the same, up to its first NUL; free() it */

/* The one loop of the process. CLOCK_MONOTONIC stands still, so no timer of the loop ends by
 * itself.
 */
struct ev_loop *fuzz_loop(void);
void fuzz_turn(void);        /* what can be done without waiting is done */
void fuzz_pass(uint32_t ms); /* the clock is put forward; the timers are fuzz_turn()'s */

/* Two connected non-blocking stream sockets: *@peer is the far end. */
int fuzz_socket(int *peer);
/* Never waits: what does not fit into the socket is lost. */
void fuzz_send(int peer, const void *data, size_t len);
void fuzz_send_bytes(int peer, struct script *script);  /* a piece of it */
size_t fuzz_receive(int peer, void *data, size_t size); /* 0: nothing there */

#endif
