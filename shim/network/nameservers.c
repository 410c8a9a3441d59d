#include "shim/network/nameservers.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/file.h"
#include "common/mem.h"

#define FILE_MAX (64 << 10)
#define BLANKS   " \t\r"

static bool is_wanted(const struct nameservers *known, struct in_addr address)
{
	for (size_t i = 0; i < known->n; i++)
		if (known->all[i].s_addr == address.s_addr)
			return false;
	return known->n < NAMESERVERS_MAX && address.s_addr != htonl(INADDR_LOOPBACK) &&
	       ntohl(address.s_addr) >> IN_CLASSA_NSHIFT == IN_LOOPBACKNET;
}

/* "nameserver ADDRESS" */
static void parse_line(char *line, struct nameservers *out)
{
	char *rest = NULL;
	const char *word = strtok_r(line, BLANKS, &rest);
	const char *text = word ? strtok_r(NULL, BLANKS, &rest) : NULL;
	struct in_addr address;

	if (text && !strcmp(word, "nameserver") && inet_pton(AF_INET, text, &address) == 1 &&
	    is_wanted(out, address))
		out->all[out->n++] = address;
}

void nameservers_parse(const char *text, struct nameservers *out)
{
	autofree char *copy = mem_strdup(text);
	char *rest = copy;
	char *line;

	*out = (struct nameservers){ 0 };
	while ((line = strsep(&rest, "\n")))
		parse_line(line, out);
}

int nameservers_read(const char *path, struct nameservers *out, struct error *err)
{
	autofree char *text = NULL;
	ssize_t r = file_read(AT_FDCWD, path, FILE_MAX, &text, err);

	if (r < 0)
		return (int)r;
	nameservers_parse(text, out);
	return 0;
}
