/*
 * The texts of errno as runc spells them, in errors that its clients know: "no such file or
 * directory" without a capital.
 */
#ifndef AGENT_ERRNO_TEXT_H
#define AGENT_ERRNO_TEXT_H

#define ERRNO_TEXT_SIZE 64

/* Returns @text. */
const char *errno_text(int error, char text[ERRNO_TEXT_SIZE]);

#endif
