#include "fake_parts.h"

#include <ev.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/file.h"
#include "common/mem.h"

struct fake_guest fake;

struct later {
	ev_timer timer;
	LIST_ENTRY(later) link;
	void (*fn)(void *arg);
	void *arg;
};
static LIST_HEAD(later_list, later) laters;

static void on_later(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct later *later = timer->data;
	void (*fn)(void *) = later->fn;
	void *arg = later->arg;

	LIST_REMOVE(later, link);
	free(later);
	fn(arg);
}

void fake_do_later(void (*fn)(void *arg), void *arg)
{
	struct later *later = mem_new(struct later);

	later->fn = fn;
	later->arg = arg;
	ev_timer_init(&later->timer, on_later, 0, 0);
	later->timer.data = later;
	ev_timer_start(fake.loop, &later->timer);
	LIST_INSERT_HEAD(&laters, later, link);
}

void fake_forget_later(const void *arg)
{
	struct later *later = LIST_FIRST(&laters), *next;

	for (; later; later = next) {
		next = LIST_NEXT(later, link);
		if (arg && later->arg != arg)
			continue;
		LIST_REMOVE(later, link);
		ev_timer_stop(fake.loop, &later->timer);
		free(later);
	}
}

void fake_note(const char *what, const char *of)
{
	size_t len = strlen(fake.log);

	snprintf(fake.log + len, sizeof(fake.log) - len, "%s%s%s\n", what, *of ? " " : "", of);
}

bool fake_logged(const char *line)
{
	autofree char *whole = mem_printf("\n%s\n", line);
	autofree char *log = mem_printf("\n%s", fake.log);

	return strstr(log, whole) != NULL;
}

bool fake_order(const char *first, const char *second)
{
	const char *a = strstr(fake.log, first);

	return a && strstr(a, second);
}

void fake_init(struct ev_loop *loop)
{
	fake = (struct fake_guest){ .loop = loop, .dir = "/tmp/kata-fake-XXXXXX" };
	must(mkdtemp(fake.dir));
}

void fake_fini(void)
{
	fake_forget_later(NULL);
	must(file_remove_tree(AT_FDCWD, fake.dir, NULL) == 0);
}
