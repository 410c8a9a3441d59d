/* Text whose bytes are somebody else's: a guest's, a user's. */
#ifndef COMMON_TEXT_H
#define COMMON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEXT_TO_NUL SIZE_MAX /* as a length: up to the terminating NUL, which is not read past */

/* The bytes of the UTF-8 sequence that the @len bytes at @text begin with (RFC 3629, section 4), or
 * 0 when they begin with none. */
size_t text_utf8(const char *text, size_t len);

/* Whether the sequence that @text begins with, a valid one, is a control character of ASCII, or of
 * U+0080 to U+009F, where 9B begins a terminal's escape sequence. */
bool text_is_control(const char *text);

/* Makes @text one line of valid UTF-8 in which nothing is left that a terminal obeys: each control
 * character becomes spaces, each wrong byte '?'. */
void text_clean(char *text);

#endif
