/*
 * A guest that attacks its host. As PID 1 it is the guest's agent, one that answers every call
 * with success and runs "processes" that are attacks; else it is one attack, named by its first
 * argument, and runs in an ordinary container as well. What it finds out it prints, a line a fact.
 */
#ifndef TEST_LIB_HOSTILE_H
#define TEST_LIB_HOSTILE_H

#include <stddef.h>
#include <stdint.h>

#define CID_HOST     2
#define PORT_AGENT   1024
#define PORT_STREAMS 1027
#define PORT_HELLO   (0x40000000u + 3)

int attack_run(int argc, char **argv); /* the exit status of the attack argv[0] */
int agent_run(void);                   /* does not return */

/* Of vsock.c. */
int vsock_dial(uint32_t cid, uint32_t port); /* a connected socket, or -errno */
int attack_scan(int argc, char **argv);
int attack_cids(int argc, char **argv);
int attack_connects(int argc, char **argv);
int attack_hellos(int argc, char **argv);
int attack_hold(int argc, char **argv);

/* Of machine.c. */
int attack_console(int argc, char **argv);
int attack_serial(int argc, char **argv);
int attack_acpi(int argc, char **argv);
int attack_sysrq(int argc, char **argv);

/* Of share.c. */
int attack_share(int argc, char **argv);
int attack_handles(int argc, char **argv);
int attack_races(int argc, char **argv);

/* Of wire.c: just enough of ttrpc and protobuf. */
struct bytes {
	const uint8_t *data;
	size_t len;
};

enum {
	FRAME_REQUEST = 1,
	FRAME_RESPONSE = 2,
	FRAME_HEADER = 10,
	FRAME_MAX = 4 << 20,
};

/* The @n-th (from 0) field of this number that is bytes or text; empty: there is none. */
struct bytes field_bytes(struct bytes message, unsigned int number, unsigned int n);
uint64_t field_number(struct bytes message, unsigned int number);
void write_all(int fd, const void *data, size_t len);
void frame_header(uint8_t out[FRAME_HEADER], uint32_t len, uint32_t stream);
/* An answer of success with this payload, at most 120 bytes. */
void answer(int fd, uint32_t stream, const void *payload, size_t len);

#endif
