#include "common/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* The bytes of the UTF-8 sequence at @s, or 0 when there is none (RFC 3629, section 4). */
static size_t utf8_sequence(const unsigned char *s)
{
	size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

	if (s[0] > 0xf4 || (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80) /* the terminating NUL too: nothing is read past it */
			return 0;
	return n;
}

/* Of ASCII, or of U+0080 to U+009F, where 9B begins a terminal's escape sequence. @s is valid. */
static bool is_control(const unsigned char *s)
{
	return s[0] < 0x20 || s[0] == 0x7f || (s[0] == 0xc2 && s[1] < 0xa0);
}

void text_clean(char *text)
{
	unsigned char *s = (unsigned char *)text;

	while (*s) {
		size_t n = utf8_sequence(s);

		if (n == 0)
			*s = '?';
		else if (is_control(s))
			memset(s, ' ', n);
		s += n ? n : 1;
	}
}
