#include "common/text.h"

#include <string.h>

static size_t length_of(unsigned char first)
{
	if (first < 0x80)
		return 1;
	if (first < 0xc2 || first > 0xf4)
		return 0;
	return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* Whether the second byte is one after which a sequence that begins so is the shortest of a
 * character that there is. */
static bool second_fits(unsigned char first, unsigned char second)
{
	return !(first == 0xe0 && second < 0xa0) && !(first == 0xed && second > 0x9f) &&
	       !(first == 0xf0 && second < 0x90) && !(first == 0xf4 && second > 0x8f);
}

size_t text_utf8(const char *text, size_t len)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t n = len ? length_of(s[0]) : 0;

	if (n > len)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80) /* a terminating NUL, too */
			return 0;
	return n > 1 && !second_fits(s[0], s[1]) ? 0 : n;
}

bool text_is_control(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	return s[0] < 0x20 || s[0] == 0x7f || (s[0] == 0xc2 && s[1] < 0xa0);
}

void text_clean(char *text)
{
	while (*text) {
		size_t n = text_utf8(text, TEXT_TO_NUL);

		if (n == 0)
			*text = '?';
		else if (text_is_control(text))
			memset(text, ' ', n);
		text += n ? n : 1;
	}
}
