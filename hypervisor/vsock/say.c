#include "hypervisor/vsock/say.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SAY_MAX 512

void say(const char *fmt, ...)
{
	char text[SAY_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text) - 1, fmt, args);
	va_end(args);
	strcat(text, "\n");
	(void)!write(STDERR_FILENO, text, strlen(text)); /* nobody may be there to hear it */
}
