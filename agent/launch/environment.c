#include "agent/launch/environment.h"

#include <stdbool.h>
#include <string.h>

#include "common/error.h"
#include "common/mem.h"

int environment_check(char *const *entries, size_t count, struct error *err)
{
	size_t i;

	if (count > ENVIRONMENT_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT, "process.env: more than %d entries",
		                 ENVIRONMENT_MAX);
	for (i = 0; i < count; i++) {
		const char *equals = strchr(entries[i], '=');

		if (!equals)
			return error_set(err, ERROR_INVALID_ARGUMENT,
			                 "invalid process.env[%zu] \"%s\": no '='", i, entries[i]);
		if (equals == entries[i])
			return error_set(err, ERROR_INVALID_ARGUMENT,
			                 "invalid process.env[%zu] \"%s\": no name", i, entries[i]);
	}
	return 0;
}

struct entry {
	char *text;
	size_t index;
};

static int compare_names(const char *a, const char *b)
{
	size_t a_len = strcspn(a, "=");
	size_t b_len = strcspn(b, "=");
	int r = memcmp(a, b, a_len < b_len ? a_len : b_len);

	if (r != 0)
		return r;
	return (a_len > b_len) - (a_len < b_len);
}

static int compare_entries(const void *a, const void *b)
{
	const struct entry *left = a;
	const struct entry *right = b;
	int r = compare_names(left->text, right->text);

	return r ? r : (left->index > right->index) - (left->index < right->index);
}

/* A name keeps the place where it came first, with the value that came last. */
static char **drop_duplicates(char *const *entries, size_t count)
{
	autofree struct entry *sorted = mem_alloc(count * sizeof(*sorted));
	char **kept = mem_alloc((count + 2) * sizeof(*kept)); /* room for HOME and NULL */
	size_t first = 0;
	size_t n = 0;
	size_t i;

	for (i = 0; i < count; i++)
		sorted[i] = (struct entry){ .text = entries[i], .index = i };
	qsort(sorted, count, sizeof(*sorted), compare_entries);
	for (i = 0; i < count; i++) {
		if (compare_names(sorted[i].text, sorted[first].text) != 0)
			first = i;
		kept[sorted[first].index] = sorted[i].text;
	}
	for (i = 0; i < count; i++)
		if (kept[i])
			kept[n++] = kept[i];
	for (i = n; i < count; i++)
		kept[i] = NULL;
	return kept;
}

bool environment_needs_home(char *const *entries, size_t count)
{
	const char *home = "";

	for (size_t i = 0; i < count; i++)
		if (!strncmp(entries[i], "HOME=", 5))
			home = entries[i] + 5;
	return !*home;
}

char **environment_make(char *const *entries, size_t count, const char *home)
{
	char **environment = drop_duplicates(entries, count);
	size_t n;

	for (n = 0; environment[n]; n++)
		if (!strcmp(environment[n], "HOME="))
			break;
	if (environment[n] || !environment_get(environment, "HOME"))
		environment[n] = mem_printf("HOME=%s", home);
	return environment;
}

const char *environment_get(char *const *environment, const char *name)
{
	size_t len = strlen(name);

	for (; *environment; environment++)
		if (!strncmp(*environment, name, len) && (*environment)[len] == '=')
			return *environment + len + 1;
	return NULL;
}
