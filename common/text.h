/* Text whose bytes are somebody else's: a guest's, a user's. */
#ifndef COMMON_TEXT_H
#define COMMON_TEXT_H

/* Makes @text one line of valid UTF-8 in which nothing is left that a terminal obeys: each control
 * character becomes spaces, each wrong byte '?'. */
void text_clean(char *text);

#endif
