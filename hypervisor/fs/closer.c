#include "hypervisor/fs/closer.h"

#include <string.h>
#include <unistd.h>

#include "common/error.h"

#define STACK_BYTES (64 << 10)

static void *run(void *arg)
{
	struct closer *closer = arg;

	pthread_mutex_lock(&closer->lock);
	closer->runs = true;
	pthread_cond_signal(&closer->started);
	for (;;) {
		int fds[CLOSER_MAX];
		unsigned int count;

		while (!closer->count)
			pthread_cond_wait(&closer->more, &closer->lock);
		count = closer->count;
		memcpy(fds, closer->fds, count * sizeof(fds[0]));
		closer->count = 0;
		pthread_mutex_unlock(&closer->lock);
		for (unsigned int i = 0; i < count; i++)
			close(fds[i]);
		pthread_mutex_lock(&closer->lock);
	}
	return NULL;
}

int closer_start(struct closer *closer, struct error *err)
{
	pthread_attr_t attr;
	pthread_t thread;
	int r;

	*closer = (struct closer){ 0 };
	pthread_mutex_init(&closer->lock, NULL);
	pthread_cond_init(&closer->more, NULL);
	pthread_cond_init(&closer->started, NULL);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	r = pthread_create(&thread, &attr, run, closer);
	pthread_attr_destroy(&attr);
	if (r)
		return error_set(err, ERROR_UNKNOWN, "cannot start a thread: %s",
		                 strerrordesc_np(r));
	pthread_mutex_lock(&closer->lock);
	while (!closer->runs)
		pthread_cond_wait(&closer->started, &closer->lock);
	pthread_mutex_unlock(&closer->lock);
	return 0;
}

void closer_add(struct closer *closer, int fd)
{
	bool taken = false;

	if (closer) {
		pthread_mutex_lock(&closer->lock);
		taken = closer->count < CLOSER_MAX;
		if (taken)
			closer->fds[closer->count++] = fd;
		pthread_mutex_unlock(&closer->lock);
	}
	if (taken)
		pthread_cond_signal(&closer->more);
	else
		close(fd);
}
