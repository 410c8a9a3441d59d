#include "hypervisor/vhost/say.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define SAY_MAX 512

void say(const char *fmt, ...)
{
	char text[SAY_MAX];
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (n < 0)
		return;
	if (n > SAY_MAX - 1)
		n = SAY_MAX - 1;
	text[n] = '\n';
	(void)!write(STDERR_FILENO, text, n + 1); /* nobody may be there to hear it */
}
