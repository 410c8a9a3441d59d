#include "shim/cli/deadlines.h"

struct deadlines deadlines_get(void)
{
	return (struct deadlines)DEADLINES;
}
