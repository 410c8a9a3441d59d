#include "agent/guest/guest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/kernel_file.h"
#include "common/cleanup.h"
#include "common/error.h"
#include "common/log.h"
#include "common/mem.h"

#define CPUS        "/sys/devices/system/cpu"
#define MEMORY      "/sys/devices/system/memory"
#define HOTPLUG     "/sys/module/memory_hotplug/parameters"
#define ENTROPY_MAX 4096 /* bytes of one ReseedRandomDev */

#define CPUS_STEP_MS 10

#define NS_PER_S  1000000000LL
#define NS_PER_US 1000
#define US_PER_S  1000000

static int open_directory(const char *path)
{
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

uint64_t guest_memory_block_size(void)
{
	autoclose int dir = open_directory(MEMORY);
	char text[32];

	if (dir < 0 || kernel_file_read(dir, "block_size_bytes", text, sizeof(text), NULL) < 0)
		return 0;
	return strtoull(text, NULL, 16);
}

/* Does @visit for every entry of @path that is @prefix and a number. */
static int each_numbered(const char *path, const char *prefix,
                         int (*visit)(int dir, const char *name, void *ctx, struct error *err),
                         void *ctx, struct error *err)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int r = 0;

	if (!dir)
		return error_errno(err, "cannot list \"%s\"", path);
	while (r == 0 && (entry = readdir(dir))) {
		const char *number = entry->d_name + strlen(prefix);

		if (!strncmp(entry->d_name, prefix, strlen(prefix)) && *number &&
		    strspn(number, "0123456789") == strlen(number))
			r = visit(dirfd(dir), entry->d_name, ctx, err);
	}
	closedir(dir);
	return r;
}

/* A CPU that cannot be switched off has no such file, and is online. */
static int online_cpu(int dir, const char *name, void *ctx, struct error *err)
{
	uint32_t *wanted = ctx;
	autofree char *file = mem_printf("%s/online", name);
	char text[8];
	int r;

	if (!*wanted || kernel_file_read(dir, file, text, sizeof(text), NULL) < 0 || *text == '1')
		return 0;
	r = kernel_file_write(dir, file, "1", err);
	*wanted -= r == 0;
	return r;
}

/* Which of them makes no difference. */
static int offline_cpu(int dir, const char *name, void *ctx, struct error *err)
{
	uint32_t *brought = ctx;
	autofree char *file = mem_printf("%s/online", name);
	char text[8];

	if (*brought && kernel_file_read(dir, file, text, sizeof(text), NULL) == 0 &&
	    *text == '1' && kernel_file_write(dir, file, "0", NULL) == 0)
		--*brought;
	return 0;
}

/* All or none: the same may be asked again, when those that were late have come. */
static void undo_online(uint32_t brought)
{
	each_numbered(CPUS, "cpu", offline_cpu, &brought, NULL);
}

/* The kernel lists a CPU when it has registered it, some milliseconds after QEMU has plugged it. */
int guest_online_cpus(uint32_t cpus, struct error *err)
{
	uint32_t wanted = cpus;

	for (int ms = 0; wanted; ms += CPUS_STEP_MS) {
		int r = each_numbered(CPUS, "cpu", online_cpu, &wanted, err);

		if (r == 0 && wanted && ms >= GUEST_CPUS_MS)
			r = error_set(err, ERROR_UNAVAILABLE,
			              "cannot bring %u CPUs online: %u have not come within %d ms",
			              cpus, wanted, GUEST_CPUS_MS);
		if (r < 0) {
			undo_online(cpus - wanted);
			return r;
		}
		if (wanted)
			usleep(CPUS_STEP_MS * 1000);
	}
	return 0;
}

/* A CPU that cannot be switched off has no such file. */
static int find_last_cpu(int dir, const char *name, void *ctx, struct error *err)
{
	unsigned long *last = ctx;
	unsigned long number = strtoul(name + strlen("cpu"), NULL, 10);
	autofree char *file = mem_printf("%s/online", name);
	char text[8];

	if (number > *last && kernel_file_read(dir, file, text, sizeof(text), NULL) == 0 &&
	    *text == '1')
		*last = number;
	return 0;
}

int guest_offline_cpus(uint32_t cpus, struct error *err)
{
	autoclose int dir = open_directory(CPUS);
	int r = 0;

	while (r == 0 && cpus-- > 0) {
		autofree char *file = NULL;
		unsigned long last = 0;

		each_numbered(CPUS, "cpu", find_last_cpu, &last, NULL);
		file = mem_printf("cpu%lu/online", last);
		r = last ? kernel_file_write(dir, file, "0", err)
		         : error_set(err, ERROR_FAILED_PRECONDITION,
		                     "no other CPU can be taken offline");
	}
	return r;
}

static bool is_offline(int dir, const char *file)
{
	char text[32];

	return kernel_file_read(dir, file, text, sizeof(text), NULL) == 0 &&
	       strncmp(text, "offline", strlen("offline")) == 0;
}

/* One that comes online by itself meanwhile refuses to be brought online. */
static int online_block(int dir, const char *name, void *ctx, struct error *err)
{
	autofree char *file = mem_printf("%s/state", name);
	int r = is_offline(dir, file) ? kernel_file_write(dir, file, "online", err) : 0;

	return r < 0 && is_offline(dir, file) ? r : 0;
}

int guest_online_memory(struct error *err)
{
	if (!guest_memory_block_size())
		return 0;
	return each_numbered(MEMORY, "memory", online_block, NULL, err);
}

void guest_take_memory_at_once(void)
{
	autoclose int dir = open_directory(MEMORY);
	autoclose int parameters = open_directory(HOTPLUG);
	struct error err;

	if (parameters >= 0 &&
	    kernel_file_write(parameters, "online_policy", "auto-movable", &err) < 0)
		log_warn("%s", err.text);
	if (dir >= 0 && kernel_file_write(dir, "auto_online_blocks", "online", &err) < 0)
		log_warn("%s", err.text);
}

int guest_set_time(int64_t sec, int64_t usec, struct error *err)
{
	struct timeval now = { .tv_sec = sec, .tv_usec = usec };

	if (settimeofday(&now, NULL) < 0)
		return error_errno(err, "cannot set the clock");
	return 0;
}

int64_t guest_clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

/*
 * In microseconds: ADJ_NANO would also change what every adjtimex(2) shows from then on. The kernel
 * takes a fraction that is not negative (timekeeping_validate_timex).
 */
int guest_step_clock(int64_t ns, struct error *err)
{
	struct timex step = { .modes = ADJ_SETOFFSET };

	step.time.tv_sec = ns / NS_PER_S;
	step.time.tv_usec = ns % NS_PER_S / NS_PER_US;
	if (step.time.tv_usec < 0) {
		step.time.tv_sec--;
		step.time.tv_usec += US_PER_S;
	}
	if (clock_adjtime(CLOCK_REALTIME, &step) < 0)
		return error_errno(err, "cannot step the clock by %lld ns", (long long)ns);
	return 0;
}

int guest_slew_clock(int64_t ns, struct error *err)
{
	struct timeval delta = { .tv_sec = ns / NS_PER_S, .tv_usec = ns % NS_PER_S / NS_PER_US };

	if (adjtime(&delta, NULL) < 0)
		return error_errno(err, "cannot slew the clock by %lld ns", (long long)ns);
	return 0;
}

int guest_add_entropy(const void *data, size_t len, struct error *err)
{
	struct {
		struct rand_pool_info info;
		char bytes[ENTROPY_MAX];
	} pool = { .info = { .entropy_count = (int)len * 8, .buf_size = (int)len } };
	autoclose int fd = open("/dev/random", O_RDWR | O_CLOEXEC);

	if (!len || len > ENTROPY_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT, "entropy: 1 to %d bytes",
		                 ENTROPY_MAX);
	memcpy(pool.bytes, data, len);
	if (fd < 0 || ioctl(fd, RNDADDENTROPY, &pool) < 0 || ioctl(fd, RNDRESEEDCRNG) < 0)
		return error_errno(err, "cannot reseed /dev/random");
	return 0;
}

void guest_power_off(void)
{
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}
