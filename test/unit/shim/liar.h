/*
 * A liar between the shim and its agent: passes ttrpc frames on, but answers to one method go
 * through as a fault says.
 */
#ifndef TEST_LIAR_H
#define TEST_LIAR_H

struct ev_loop;
struct liar;

enum liar_fault {
	LIAR_NONE,
	LIAR_NEVER,       /* no answer */
	LIAR_LATE,        /* after LIAR_LATE_MS */
	LIAR_TWICE,       /* the same answer, two times */
	LIAR_STRANGER,    /* with the stream of no call, in place of the answer */
	LIAR_UNASKED,     /* with the stream of no call, before the answer */
	LIAR_NO_RESPONSE, /* a payload that is no ttrpc.Response */
	LIAR_NO_MESSAGE,  /* a ttrpc.Response around what is no message */
	LIAR_ODD_STATUS,  /* a status with a code that does not exist */
	LIAR_REQUEST,     /* a frame of the type of a request */
	LIAR_ODD_TYPE,    /* a frame of no type at all */
	LIAR_CUT_OFF,     /* half of the answer, then the end of the connection */
	LIAR_TOO_LONG,    /* a header that announces more than a frame may hold */
	LIAR_LONG_TEXT,   /* a status with a text of 64 KiB that is no UTF-8 */
	LIAR_FAULTS,
};

#define LIAR_LATE_MS 150

/* Takes over both, which are connected sockets: @shim to who asks, @agent to who answers. */
struct liar *liar_create(struct ev_loop *loop, int shim, int agent, const char *method,
                         enum liar_fault fault);
void liar_destroy(struct liar *liar); /* NULL is fine */

#endif
