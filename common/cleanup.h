/*
 * Ownership in the declaration: a variable that frees what it owns when its scope ends.
 * Hand ownership on with take_ptr() and take_fd(), which leave NULL and -1 behind.
 * Mechanism: gcc's cleanup attribute (GCC manual, "Common Variable Attributes").
 */
#ifndef COMMON_CLEANUP_H
#define COMMON_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

/* Also for a descriptor that is open now and then: -1 is left behind, and is nothing to close. */
static inline void cleanup_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

#define autofree  __attribute__((cleanup(cleanup_free)))
#define autoclose __attribute__((cleanup(cleanup_close)))

/* autodestroy(vm) struct vm *vm: needs CLEANUP_DESTROY(vm) after the declaration of vm_destroy().
 */
#define autodestroy(noun) __attribute__((cleanup(cleanup_##noun)))
#define CLEANUP_DESTROY(noun)                                                                      \
	static inline void cleanup_##noun(struct noun **p)                                         \
	{                                                                                          \
		noun##_destroy(*p);                                                                \
	}

#define take_ptr(p)                                                                                \
	__extension__({                                                                            \
		__typeof__(*(p)) taken_ = *(p);                                                    \
		*(p) = NULL;                                                                       \
		taken_;                                                                            \
	})

static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

#endif
