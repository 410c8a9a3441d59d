/*
 * Selects the lines of a guest's console for an error text: the last ones up to a kernel panic, if
 * there is one, since the dump of registers after it tells a user nothing.
 */
#ifndef SHIM_LAST_WORDS_H
#define SHIM_LAST_WORDS_H

#include <stddef.h>

#define LAST_WORDS_MAX 500

/*
 * Appends them to @text, which has room for @size bytes: "; the console's last lines: a | b".
 * @console is one line, " | " between the lines of the console (vm_console_tail()). The last lines
 * that @text says already are left out, and of the others as many added as there is room for.
 */
void last_words_add(char *text, size_t size, const char *console);

#endif
