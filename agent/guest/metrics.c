#include "agent/guest/metrics.h"

#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/mem.h"

#define FILE_MAX   (128 << 10) /* bytes of a file; of a longer one the rest is not read */
#define LABELS_MAX 256
#define ITEM_MAX   64
#define KIB        1024
#define MS         1000

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A text under way, and the metric whose samples are added. */
struct page {
	struct buf text;
	const char *metric;
};

/* A file of /proc, as a family of metrics. */
struct family {
	const char *metric; /* a gauge */
	const char *help;
	const char *file;
	void (*add)(struct page *page, char *text);
};

static void add_value(struct page *page, const char *labels, uint64_t value)
{
	buf_printf(&page->text, "%s%s %" PRIu64 "\n", page->metric, labels, value);
}

static void add_item(struct page *page, const char *item, uint64_t value)
{
	char labels[LABELS_MAX];

	snprintf(labels, sizeof(labels), "{item=\"%s\"}", item);
	add_value(page, labels, value);
}

/* A container with CAP_NET_ADMIN names its links, with any bytes but blanks; a message's string is
 * text. */
static void quote(const char *value, char out[LABELS_MAX / 2])
{
	size_t len = 0;

	for (; *value && len < LABELS_MAX / 2 - 3; value++) {
		if (strchr("\\\"", *value))
			out[len++] = '\\';
		out[len++] = (*value >= ' ' && *value <= '~') ? *value : '?';
	}
	out[len] = '\0';
}

static void add_item_of(struct page *page, const char *label, const char *owner, const char *item,
                        uint64_t value)
{
	char quoted[LABELS_MAX / 2];
	char labels[LABELS_MAX];

	quote(owner, quoted);
	snprintf(labels, sizeof(labels), "{%s=\"%s\",item=\"%s\"}", label, quoted, item);
	add_value(page, labels, value);
}

/* The numbers of @row in their order, named by @items. */
static void add_row(struct page *page, const char *label, const char *owner, const char *row,
                    const char *const *items, size_t n, uint64_t factor)
{
	uint64_t value;
	int used;

	for (size_t i = 0; i < n && sscanf(row, "%" SCNu64 "%n", &value, &used) == 1; i++) {
		add_item_of(page, label, owner, items[i], value * factor);
		row += used;
	}
}

/* "SReclaimable" is s_reclaimable, "Active(anon)" active_anon, "DirectMap2M" direct_map_2M. */
static void snake_case(const char *name, char out[ITEM_MAX])
{
	size_t len = 0;

	for (const char *c = name; *c && len < ITEM_MAX - 3; c++) {
		char before = c > name ? c[-1] : '_';
		bool begins = isupper((unsigned char)*c) &&
		              (islower((unsigned char)before) ||
		               (isupper((unsigned char)before) && islower((unsigned char)c[1])));

		if (begins || *c == '(' ||
		    (isdigit((unsigned char)*c) && isalpha((unsigned char)before)))
			out[len++] = '_';
		if (isdigit((unsigned char)before))
			out[len++] = *c;
		else if (!strchr("()", *c))
			out[len++] = (char)tolower((unsigned char)*c);
	}
	out[len] = '\0';
}

/* The two that upstream spells in its own way. */
static void spell_as_upstream(char item[ITEM_MAX])
{
	char *pages = strstr(item, "huge_pages");

	if (pages)
		memmove(pages + 4, pages + 5, strlen(pages + 5) + 1);
	if (!strcmp(item, "percpu"))
		snprintf(item, ITEM_MAX, "per_cpu");
}

static void add_meminfo(struct page *page, char *text)
{
	char item[ITEM_MAX];
	char *line;

	while ((line = strsep(&text, "\n"))) {
		const char *name = strsep(&line, ":");
		uint64_t value;
		char unit;

		if (!line || sscanf(line, " %" SCNu64 " %c", &value, &unit) < 1)
			continue;
		snake_case(name, item);
		spell_as_upstream(item);
		add_item(page, item, strstr(line, " kB") ? value * KIB : value);
	}
}

static void add_vmstat(struct page *page, char *text)
{
	char *line;

	while ((line = strsep(&text, "\n"))) {
		const char *name = strsep(&line, " ");
		uint64_t value;

		if (line && sscanf(line, "%" SCNu64, &value) == 1)
			add_item(page, name, value);
	}
}

static void add_cpu_times(struct page *page, char *text)
{
	static const char *const items[] = { "user", "nice",    "system", "idle",  "iowait",
		                             "irq",  "softirq", "steal",  "guest", "guest_nice" };
	uint64_t ms_per_tick = MS / (uint64_t)sysconf(_SC_CLK_TCK);
	char *line;

	while ((line = strsep(&text, "\n")) && !strncmp(line, "cpu", 3)) {
		const char *name = strsep(&line, " ") + 3;

		if (line)
			add_row(page, "cpu", *name ? name : "total", line, items, COUNT(items),
			        ms_per_tick);
	}
}

static void add_disks(struct page *page, char *text)
{
	static const char *const items[] = {
		"reads",
		"merged",
		"sectors_read",
		"time_reading",
		"writes",
		"writes_merged",
		"sectors_written",
		"time_writing",
		"in_progress",
		"time_in_progress",
		"weighted_time_in_progress",
		"discards",
		"discards_merged",
		"sectors_discarded",
		"time_discarding",
		"flushes",
		"time_flushing",
	};
	char *line;

	while ((line = strsep(&text, "\n"))) {
		char name[ITEM_MAX];
		int used = 0;

		if (sscanf(line, "%*d %*d %63s%n", name, &used) == 1)
			add_row(page, "disk", name, line + used, items, COUNT(items), 1);
	}
}

/* After two lines of titles: "  eth0: 1 2 ...". */
static void add_links(struct page *page, char *text)
{
	static const char *const items[] = {
		"recv_bytes", "recv_packets", "recv_errs",       "recv_drop",
		"recv_fifo",  "recv_frame",   "recv_compressed", "recv_multicast",
		"sent_bytes", "sent_packets", "sent_errs",       "sent_drop",
		"sent_fifo",  "sent_colls",   "sent_carrier",    "sent_compressed",
	};
	char *line;

	while ((line = strsep(&text, "\n"))) {
		const char *name = strsep(&line, ":");

		if (line)
			add_row(page, "interface", name + strspn(name, " "), line, items,
			        COUNT(items), 1);
	}
}

static void add_load(struct page *page, char *text)
{
	static const char *const items[] = { "load1", "load5", "load15" };

	for (size_t i = 0; i < COUNT(items) && text && *text; i++)
		buf_printf(&page->text, "%s{item=\"%s\"} %s\n", page->metric, items[i],
		           strsep(&text, " "));
}

/* "0.01 0.02 0.03 1/120 4711" */
static void add_tasks(struct page *page, char *text)
{
	uint64_t running, all;

	if (sscanf(text, "%*s %*s %*s %" SCNu64 "/%" SCNu64, &running, &all) != 2)
		return;
	add_item(page, "cur", running);
	add_item(page, "max", all);
}

static void add_io(struct page *page, char *text)
{
	char *line;

	while ((line = strsep(&text, "\n"))) {
		const char *name = strsep(&line, ":");
		uint64_t value;

		if (line && sscanf(line, " %" SCNu64, &value) == 1)
			add_item(page, name, value);
	}
}

/* In KiB where the kernel says kB, as upstream. */
static void add_status(struct page *page, char *text)
{
	char *line;

	while ((line = strsep(&text, "\n"))) {
		const char *name = strsep(&line, ":");
		char item[ITEM_MAX];
		uint64_t value;
		size_t len = 0;

		if (!line || sscanf(line, " %" SCNu64, &value) != 1 ||
		    (strncmp(name, "Vm", 2) != 0 && strncmp(name, "Rss", 3) != 0 &&
		     strcmp(name, "HugetlbPages") != 0 && !strstr(name, "ctxt_switches")))
			continue;
		for (; len < sizeof(item) - 1 && name[len]; len++)
			item[len] = (char)tolower((unsigned char)name[len]);
		item[len] = '\0';
		add_item(page, item, value);
	}
}

/* Of /proc/self/stat, by proc(5)'s numbers from the process's state on, which is the third. */
struct self_stat {
	uint64_t utime, stime, cutime, cstime, threads, vsize, rss;
};

static bool parse_stat(const char *text, struct self_stat *out)
{
	const char *state = strrchr(text, ')'); /* a name may hold anything */

	return state &&
	       sscanf(state + 1,
	              " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64
	              " %" SCNu64 " %" SCNu64 " %*d %*d %" SCNu64 " %*d %*u %" SCNu64 " %" SCNu64,
	              &out->utime, &out->stime, &out->cutime, &out->cstime, &out->threads,
	              &out->vsize, &out->rss) == 7;
}

static void add_times(struct page *page, char *text)
{
	struct self_stat stat;

	if (!parse_stat(text, &stat))
		return;
	add_item(page, "utime", stat.utime);
	add_item(page, "stime", stat.stime);
	add_item(page, "cutime", stat.cutime);
	add_item(page, "cstime", stat.cstime);
}

static void add_threads(struct page *page, char *text)
{
	struct self_stat stat;

	if (parse_stat(text, &stat))
		add_value(page, "", stat.threads);
}

static void add_total_time(struct page *page, char *text)
{
	struct self_stat stat;

	if (parse_stat(text, &stat))
		buf_printf(&page->text, "%s %.2f\n", page->metric,
		           (double)(stat.utime + stat.stime) / (double)sysconf(_SC_CLK_TCK));
}

static void add_total_vm(struct page *page, char *text)
{
	struct self_stat stat;

	if (parse_stat(text, &stat))
		add_value(page, "", stat.vsize);
}

static void add_total_rss(struct page *page, char *text)
{
	struct self_stat stat;

	if (parse_stat(text, &stat))
		add_value(page, "", stat.rss * (uint64_t)sysconf(_SC_PAGESIZE));
}

/* clang-format off */
static const struct family families[] = {
	{ "kata_agent_threads", "Threads of the agent.", "self/stat", add_threads },
	{ "kata_agent_total_time", "Seconds of processor time that the agent has used.", "self/stat", add_total_time },
	{ "kata_agent_total_vm", "Bytes of the agent's address space.", "self/stat", add_total_vm },
	{ "kata_agent_total_rss", "Bytes of the agent that are in memory.", "self/stat", add_total_rss },
	{ "kata_agent_proc_stat", "The agent's times, in clock ticks.", "self/stat", add_times },
	{ "kata_agent_proc_status", "The agent's memory, in KiB, and its context switches.", "self/status", add_status },
	{ "kata_agent_io_stat", "The agent's reads and writes.", "self/io", add_io },
	{ "kata_guest_load", "The guest's load averages.", "loadavg", add_load },
	{ "kata_guest_tasks", "Tasks that are runnable, and all.", "loadavg", add_tasks },
	{ "kata_guest_cpu_time", "Milliseconds of each of the guest's processors.", "stat", add_cpu_times },
	{ "kata_guest_meminfo", "The guest's memory, in bytes where it is no count.", "meminfo", add_meminfo },
	{ "kata_guest_vm_stat", "The guest's virtual memory.", "vmstat", add_vmstat },
	{ "kata_guest_netdev_stat", "The guest's links.", "net/dev", add_links },
	{ "kata_guest_diskstat", "The guest's disks.", "diskstats", add_disks },
	{ 0 },
};
/* clang-format on */

static void add_titles(struct page *page, const char *metric, const char *kind, const char *help)
{
	page->metric = metric;
	buf_printf(&page->text, "# HELP %s %s\n# TYPE %s %s\n", metric, help, metric, kind);
}

/* The kernel hands the files out in parts. */
static char *read_file(int proc, const char *name)
{
	autoclose int fd = openat(proc, name, O_RDONLY | O_CLOEXEC);
	struct buf text = BUF_INIT(FILE_MAX + 1);
	ssize_t n = fd < 0 ? -1 : 1;

	while (n > 0 && text.len < FILE_MAX) {
		n = read(fd, buf_reserve(&text, FILE_MAX - text.len), FILE_MAX - text.len);
		buf_added(&text, n > 0 ? (size_t)n : 0);
	}
	buf_append(&text, "", 1);
	return text.data;
}

char *metrics_read(const char *root, uint64_t scrapes)
{
	autofree char *path = mem_printf("%s/proc", root);
	autoclose int proc = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct page page = { .text = BUF_INIT(METRICS_MAX) };

	add_titles(&page, "kata_agent_scrape_count", "counter", "How often these were read.");
	add_value(&page, "", scrapes);
	for (const struct family *family = families; family->metric; family++) {
		autofree char *text = read_file(proc, family->file);

		add_titles(&page, family->metric, "gauge", family->help);
		family->add(&page, text);
	}
	page.text.max++;
	buf_append(&page.text, "", 1);
	return page.text.data;
}
