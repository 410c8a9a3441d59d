#include "common/cpu_list.h"

#include <ctype.h>
#include <stdlib.h>

#include "common/error.h"

/* The number at @at, which is moved behind it; negative: there is none. */
static long take_number(const char **at)
{
	char *end;
	long number;

	if (!isdigit((unsigned char)**at))
		return -1;
	number = strtol(*at, &end, 10);
	*at = end;
	return number;
}

int cpu_list_parse(const char *text, cpu_set_t *set, struct error *err)
{
	cpu_set_t more = *set;
	const char *at = text;

	while (*at) {
		long first = take_number(&at);
		long last = first;

		if (*at == '-') {
			at++;
			last = take_number(&at);
		}
		if (first < 0 || last < first || last >= CPU_SETSIZE ||
		    (*at && (*at != ',' || !at[1])))
			return error_set(err, ERROR_INVALID_ARGUMENT,
			                 "invalid list \"%.100s\": not as \"0-3,7\", below %d",
			                 text, CPU_SETSIZE);
		while (first <= last)
			CPU_SET((int)first++, &more);
		at += *at == ',';
	}
	*set = more;
	return 0;
}
