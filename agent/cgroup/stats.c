#include "agent/cgroup/stats.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

#include "agent/base/kernel_file.h"
#include "common/cleanup.h"
#include "common/error.h"
#include "common/mem.h"

#define TEXT_MAX   (16 << 10) /* bytes of a file */
#define NS_PER_US  1000
#define INTERFACES "/proc/net/dev"

static void *new_message(const ProtobufCMessageDescriptor *type)
{
	ProtobufCMessage *message = mem_alloc(type->sizeof_message);

	protobuf_c_message_init(type, message);
	return message;
}

/* Adds @item to a message's repeated field: @list points to its array of pointers. */
static void append(void *list, size_t *n, void *item)
{
	void ***items = list;

	*items = mem_realloc(*items, (*n + 1) * sizeof(void *));
	(*items)[(*n)++] = item;
}

/* "max" and a file that is not there give @otherwise. */
static uint64_t number(int dir, const char *file, uint64_t otherwise)
{
	char text[64];
	uint64_t value;

	if (kernel_file_read(dir, file, text, sizeof(text), NULL) < 0 ||
	    sscanf(text, "%" SCNu64, &value) != 1)
		return otherwise;
	return value;
}

/* One key of a file of "key value" lines; 0 without it. */
static uint64_t keyed(const char *text, const char *key)
{
	size_t len = strlen(key);
	const char *line = text;
	uint64_t value;

	while (line) {
		if (!strncmp(line, key, len) && sscanf(line + len, " %" SCNu64, &value) == 1)
			return value;
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	return 0;
}

static Grpc__CpuStats *read_cpu(int dir)
{
	Grpc__CpuStats *cpu = new_message(&grpc__cpu_stats__descriptor);
	Grpc__CpuUsage *usage = new_message(&grpc__cpu_usage__descriptor);
	Grpc__ThrottlingData *throttled = new_message(&grpc__throttling_data__descriptor);
	char text[TEXT_MAX];

	cpu->cpu_usage = usage;
	cpu->throttling_data = throttled;
	if (kernel_file_read(dir, "cpu.stat", text, sizeof(text), NULL) < 0)
		return cpu;
	usage->total_usage = keyed(text, "usage_usec") * NS_PER_US;
	usage->usage_in_usermode = keyed(text, "user_usec") * NS_PER_US;
	usage->usage_in_kernelmode = keyed(text, "system_usec") * NS_PER_US;
	throttled->periods = keyed(text, "nr_periods");
	throttled->throttled_periods = keyed(text, "nr_throttled");
	throttled->throttled_time = keyed(text, "throttled_usec") * NS_PER_US;
	return cpu;
}

static void add_memory_keys(Grpc__MemoryStats *memory, const char *prefix, char *text)
{
	char *line;

	while ((line = strsep(&text, "\n"))) {
		Grpc__MemoryStats__StatsEntry *entry;
		char *value = strchr(line, ' ');

		if (!value)
			continue;
		*value++ = '\0';
		entry = new_message(&grpc__memory_stats__stats_entry__descriptor);
		entry->key = mem_printf("%s%s", prefix, line);
		entry->value = strtoull(value, NULL, 10);
		append(&memory->stats, &memory->n_stats, entry);
	}
}

static Grpc__MemoryData *memory_data(uint64_t usage, uint64_t peak, uint64_t limit)
{
	Grpc__MemoryData *data = new_message(&grpc__memory_data__descriptor);

	data->usage = usage;
	data->max_usage = peak;
	data->limit = limit;
	return data;
}

static Grpc__MemoryStats *read_memory(int dir)
{
	Grpc__MemoryStats *memory = new_message(&grpc__memory_stats__descriptor);
	char text[TEXT_MAX] = "";
	uint64_t kernel;

	kernel_file_read(dir, "memory.stat", text, sizeof(text), NULL);
	kernel = keyed(text, "kernel");
	memory->cache = keyed(text, "file");
	memory->use_hierarchy = 1;
	memory->usage = memory_data(number(dir, "memory.current", 0), number(dir, "memory.peak", 0),
	                            number(dir, "memory.max", UINT64_MAX));
	memory->swap_usage = memory_data(number(dir, "memory.swap.current", 0),
	                                 number(dir, "memory.swap.peak", 0),
	                                 number(dir, "memory.swap.max", UINT64_MAX));
	memory->kernel_usage = memory_data(kernel, kernel, UINT64_MAX);
	add_memory_keys(memory, "", text);
	if (kernel_file_read(dir, "memory.events", text, sizeof(text), NULL) == 0) {
		memory->usage->failcnt = keyed(text, "max");
		add_memory_keys(memory, "events.", text);
	}
	return memory;
}

static Grpc__PidsStats *read_pids(int dir)
{
	Grpc__PidsStats *pids = new_message(&grpc__pids_stats__descriptor);

	pids->current = number(dir, "pids.current", 0);
	pids->limit = number(dir, "pids.max", 0);
	return pids;
}

static Grpc__BlkioStatsEntry *io_entry(unsigned int major, unsigned int minor, const char *op,
                                       const char *line, const char *key)
{
	Grpc__BlkioStatsEntry *entry = new_message(&grpc__blkio_stats_entry__descriptor);
	const char *at = strstr(line, key);

	entry->major = major;
	entry->minor = minor;
	entry->op = mem_strdup(op);
	entry->value = at ? strtoull(at + strlen(key), NULL, 10) : 0;
	return entry;
}

static void add_device(Grpc__BlkioStats *io, const char *line)
{
	static const struct {
		const char *op;
		const char *bytes;
		const char *count;
	} ops[] = {
		{ "Read", " rbytes=", " rios=" },
		{ "Write", " wbytes=", " wios=" },
		{ "Discard", " dbytes=", " dios=" },
	};
	unsigned int major, minor;

	if (sscanf(line, "%u:%u ", &major, &minor) != 2)
		return;
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		append(&io->io_service_bytes_recursive, &io->n_io_service_bytes_recursive,
		       io_entry(major, minor, ops[i].op, line, ops[i].bytes));
		append(&io->io_serviced_recursive, &io->n_io_serviced_recursive,
		       io_entry(major, minor, ops[i].op, line, ops[i].count));
	}
}

static Grpc__BlkioStats *read_io(int dir)
{
	Grpc__BlkioStats *io = new_message(&grpc__blkio_stats__descriptor);
	char text[TEXT_MAX];
	char *rest = text;
	char *line;

	if (kernel_file_read(dir, "io.stat", text, sizeof(text), NULL) < 0)
		return io;
	while ((line = strsep(&rest, "\n")))
		add_device(io, line);
	return io;
}

/* @file is "hugetlb.<size>.current". */
static void add_hugetlb(int dir, const char *file, Grpc__CgroupStats *stats)
{
	Grpc__CgroupStats__HugetlbStatsEntry *entry =
		new_message(&grpc__cgroup_stats__hugetlb_stats_entry__descriptor);
	const char *size = file + strlen("hugetlb.");
	int len = (int)strcspn(size, ".");
	autofree char *events = mem_printf("hugetlb.%.*s.events", len, size);
	char text[TEXT_MAX];

	entry->key = mem_printf("%.*s", len, size);
	entry->value = new_message(&grpc__hugetlb_stats__descriptor);
	entry->value->usage = number(dir, file, 0);
	if (kernel_file_read(dir, events, text, sizeof(text), NULL) == 0)
		entry->value->failcnt = keyed(text, "max");
	append(&stats->hugetlb_stats, &stats->n_hugetlb_stats, entry);
}

static bool is_hugetlb(const char *name)
{
	const char *size = name + strlen("hugetlb.");

	return !strncmp(name, "hugetlb.", strlen("hugetlb.")) &&
	       !strcmp(size + strcspn(size, "."), ".current");
}

static int read_hugetlb(int cgroup_fd, Grpc__CgroupStats *stats, struct error *err)
{
	int fd = openat(cgroup_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		int r = error_errno(err, "cannot list the files of the cgroup");

		if (fd >= 0)
			close(fd);
		return r;
	}
	while ((entry = readdir(dir)))
		if (is_hugetlb(entry->d_name))
			add_hugetlb(cgroup_fd, entry->d_name, stats);
	closedir(dir);
	return 0;
}

static void add_interface(Grpc__StatsContainerResponse *stats, const char *line)
{
	Grpc__NetworkStats net = GRPC__NETWORK_STATS__INIT;
	char name[32];

	if (sscanf(line,
	           " %31[^: ]: %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
	           " %*u %*u %*u %*u %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
	           name, &net.rx_bytes, &net.rx_packets, &net.rx_errors, &net.rx_dropped,
	           &net.tx_bytes, &net.tx_packets, &net.tx_errors, &net.tx_dropped) != 9 ||
	    !strcmp(name, "lo"))
		return;
	net.name = mem_strdup(name);
	append(&stats->network_stats, &stats->n_network_stats, mem_dup(&net, sizeof(net)));
}

static void read_network(Grpc__StatsContainerResponse *stats)
{
	char line[512];
	FILE *file = fopen(INTERFACES, "re");

	if (!file)
		return;
	while (fgets(line, sizeof(line), file))
		add_interface(stats, line);
	fclose(file);
}

int stats_read(int cgroup_fd, Grpc__StatsContainerResponse **out, struct error *err)
{
	Grpc__StatsContainerResponse *stats =
		new_message(&grpc__stats_container_response__descriptor);
	int r;

	stats->cgroup_stats = new_message(&grpc__cgroup_stats__descriptor);
	stats->cgroup_stats->cpu_stats = read_cpu(cgroup_fd);
	stats->cgroup_stats->memory_stats = read_memory(cgroup_fd);
	stats->cgroup_stats->pids_stats = read_pids(cgroup_fd);
	stats->cgroup_stats->blkio_stats = read_io(cgroup_fd);
	r = read_hugetlb(cgroup_fd, stats->cgroup_stats, err);
	if (r < 0) {
		stats_free(stats);
		return r;
	}
	read_network(stats);
	*out = stats;
	return 0;
}

void stats_free(Grpc__StatsContainerResponse *stats)
{
	if (stats)
		grpc__stats_container_response__free_unpacked(stats, NULL);
}
