#include "proto/features.h"

#include <string.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/mem.h"

static const char *const words[] = { "clock", "host-limits", NULL }; /* by bit */

const char *const *features_words(void)
{
	return words;
}

unsigned int features_parse(const char *text)
{
	autofree char *copy = mem_strdup(text);
	unsigned int features = 0;
	char *rest = copy;
	char *word;

	while ((word = strsep(&rest, " ")))
		for (unsigned int i = 0; words[i]; i++)
			if (!strcmp(word, words[i]))
				features |= 1U << i;
	return features;
}

int features_require(unsigned int features, enum feature feature, const char *what,
                     struct error *err)
{
	if (features & feature)
		return 0;
	return error_set(err, ERROR_UNIMPLEMENTED, "%s: not supported by the guest's agent", what);
}
