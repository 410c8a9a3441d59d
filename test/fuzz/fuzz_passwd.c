/*
 * The passwd file of an image. The input: four bytes of the user's number, then the file.
 */
#include <assert.h>
#include <string.h>

#include "agent/launch/user.h"
#include "common/mem.h"
#include "test/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script script = { data, size };
	uid_t uid = script_number(&script);
	autofree char *passwd = mem_alloc(script.left + 1);
	autofree char *home = NULL;

	if (script.left)
		memcpy(passwd, script.at, script.left);
	home = user_home_of(passwd, uid);
	assert(!strcmp(home, "/") || strstr(passwd, home));
	assert(!strpbrk(home, ":\n"));
	return 0;
}
