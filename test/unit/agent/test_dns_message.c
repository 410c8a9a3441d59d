#include "agent/guest/dns_message.h"

#include <criterion/criterion.h>
#include <string.h>

/* "a.b" of type A, with or without an OPT record of 1232 bytes. */
#define HEADER(additional) "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00" additional
#define QUESTION                                                                                   \
	"\x01"                                                                                     \
	"a\x01"                                                                                    \
	"b\x00\x00\x01\x00\x01"
#define OPT "\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00"

static const uint8_t plain[] = HEADER("\x00") QUESTION;
static const uint8_t with_opt[] = HEADER("\x01") QUESTION OPT;
#define PLAIN (sizeof(plain) - 1)

Test(dns_message, a_query_says_how_much_it_takes)
{
	uint8_t message[64];

	cr_expect_eq(dns_datagram_limit(plain, PLAIN), 512);
	cr_expect_eq(dns_datagram_limit(with_opt, sizeof(with_opt) - 1), 1232);
	memcpy(message, with_opt, sizeof(with_opt) - 1);
	message[PLAIN + 3] = 0; /* 208 */
	cr_expect_eq(dns_datagram_limit(message, sizeof(with_opt) - 1), 512);
	message[PLAIN + 3] = 0xff;
	cr_expect_eq(dns_datagram_limit(message, sizeof(with_opt) - 1), 4096);
}

Test(dns_message, one_that_is_cut_anywhere_takes_the_least)
{
	for (size_t len = 0; len < PLAIN + 5; len++) {
		uint8_t *copy = malloc(len ? len : 1); /* a read beyond it is seen */

		memcpy(copy, with_opt, len);
		cr_expect_eq(dns_datagram_limit(copy, len), 512, "%zu", len);
		free(copy);
	}
}

/* "192.0.2.7" for the question's name. */
#define RECORD      "\xc0\x0c\x00\x01\x00\x01\x00\x00\x02\x58\x00\x04\xc0\x00\x02\x07"
#define RECORD_SIZE (sizeof(RECORD) - 1)

Test(dns_message, an_answer_that_is_too_long_keeps_what_fits)
{
	const size_t fit = (512 - PLAIN) / RECORD_SIZE;
	uint8_t answer[PLAIN + 40 * RECORD_SIZE];
	size_t len;

	memcpy(answer, plain, PLAIN);
	for (size_t i = 0; i < 40; i++)
		memcpy(answer + PLAIN + i * RECORD_SIZE, RECORD, RECORD_SIZE);
	answer[7] = 40;
	answer[9] = answer[11] = 3; /* others, which are dropped */
	len = dns_fit(answer, sizeof(answer), 512);
	cr_expect_eq(len, PLAIN + fit * RECORD_SIZE);
	cr_expect_eq(answer[2], 3, "truncated");
	cr_expect_eq(answer[7], fit);
	cr_expect_eq(answer[9], 0);
	cr_expect_eq(answer[11], 0);
	cr_expect_arr_eq(answer + len - RECORD_SIZE, RECORD, RECORD_SIZE);
}

Test(dns_message, a_record_that_is_cut_anywhere_is_not_kept)
{
	for (size_t cut = 1; cut < RECORD_SIZE; cut++) {
		uint8_t *answer =
			malloc(PLAIN + 35 * RECORD_SIZE - cut); /* a read beyond it is seen */
		const size_t len = PLAIN + 35 * RECORD_SIZE - cut;

		memcpy(answer, plain, PLAIN);
		for (size_t i = 0; i < 34; i++)
			memcpy(answer + PLAIN + i * RECORD_SIZE, RECORD, RECORD_SIZE);
		memcpy(answer + PLAIN + 34 * RECORD_SIZE, RECORD, RECORD_SIZE - cut);
		answer[7] = 35;
		cr_expect_eq(dns_fit(answer, len, len - 1), PLAIN + 34 * RECORD_SIZE, "%zu", cut);
		cr_expect_eq(answer[7], 34);
		free(answer);
	}
}

Test(dns_message, an_answer_whose_records_cannot_be_read_keeps_its_question)
{
	uint8_t answer[600] = { 0 };

	memset(answer, 0x41, sizeof(answer)); /* neither a label nor a pointer */
	memcpy(answer, plain, PLAIN);
	answer[7] = 20; /* answers */
	cr_expect_eq(dns_fit(answer, sizeof(answer), sizeof(answer)), sizeof(answer));
	cr_expect_eq(answer[2], 1);
	cr_expect_eq(dns_fit(answer, sizeof(answer), 512), PLAIN);
	cr_expect_eq(answer[2], 3, "truncated");
	cr_expect_eq(answer[5], 1);
	cr_expect_eq(answer[7], 0);
	cr_expect_arr_eq(answer + 12, plain + 12, PLAIN - 12);
}

Test(dns_message, without_a_question_that_can_be_read_it_keeps_its_header)
{
	uint8_t answer[600];

	memset(answer, 0xc0, sizeof(answer)); /* pointers, no labels */
	answer[4] = 0;
	answer[5] = 1;
	cr_expect_eq(dns_fit(answer, sizeof(answer), 512), 12);
	cr_expect_eq(answer[5], 0);
	memset(answer, 1, sizeof(answer)); /* a name without an end */
	answer[4] = 0;
	cr_expect_eq(dns_fit(answer, sizeof(answer), 512), 12);
}

Test(dns_message, a_query_becomes_a_failure)
{
	uint8_t query[sizeof(with_opt)];

	memcpy(query, with_opt, sizeof(with_opt));
	cr_expect_eq(dns_fail(query, sizeof(with_opt) - 1), PLAIN);
	cr_expect_arr_eq(query, "\x12\x34\x81\x02\x00\x01\x00\x00\x00\x00\x00\x00", 12);
	cr_expect_eq(dns_fail(query, PLAIN), 0, "it is an answer now");
	cr_expect_eq(dns_fail(query, 11), 0);
}
