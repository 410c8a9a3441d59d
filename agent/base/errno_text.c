#include "agent/base/errno_text.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

const char *errno_text(int error, char text[ERRNO_TEXT_SIZE])
{
	snprintf(text, ERRNO_TEXT_SIZE, "%s", strerror(error));
	text[0] = (char)tolower((unsigned char)text[0]);
	return text;
}
