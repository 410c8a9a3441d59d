#include "agent/guest/metrics.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/file.h"
#include "common/mem.h"

static char root[] = "/tmp/test_metrics.XXXXXX";
static char *text;

static void put(const char *name, const char *content)
{
	autofree char *path = mem_printf("%s/proc/%s", root, name);

	cr_assert_eq(file_write(AT_FDCWD, path, 0644, content, strlen(content), NULL), 0);
}

static void setup(void)
{
	static const char *const dirs[] = { "proc/self", "proc/net" };

	cr_assert_not_null(mkdtemp(root));
	for (int i = 0; i < 2; i++) {
		autofree char *path = mem_printf("%s/%s", root, dirs[i]);

		cr_assert_eq(file_make_dirs(path, 0755, NULL), 0);
	}
}

static void teardown(void)
{
	free(text);
	cr_assert_eq(file_remove_tree(AT_FDCWD, root, NULL), 0);
}

TestSuite(metrics, .init = setup, .fini = teardown);

static void expect(const char *line)
{
	autofree char *whole = mem_printf("\n%s\n", line);

	cr_expect_not_null(strstr(text, whole), "no %s in:\n%s", line, text);
}

Test(metrics, are_those_of_the_guest)
{
	put("loadavg", "0.25 1.50 2.00 3/120 4711\n");
	put("meminfo", "MemTotal:        512 kB\nActive(anon):      1 kB\nSReclaimable:      2 kB\n"
	               "NFS_Unstable:      0 kB\nCommitted_AS:      3 kB\nAnonHugePages:     4 kB\n"
	               "HugePages_Total:   5\nPercpu:            6 kB\nDirectMap4k:       7 kB\n"
	               "DirectMap2M:       8 kB\n");
	put("vmstat", "nr_free_pages 17\npgfault 4\n");
	put("stat", "cpu  1 2 3 4 5 6 7 8 9 10\ncpu1 100 0 0 0 0 0 0 0 0 0\nintr 5 6\ncpux 1\n");
	put("net/dev",
	    "Inter-| Receive\n face |bytes\n  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n");
	put("diskstats", " 254 0 vda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n");
	text = metrics_read(root, 3);
	expect("# TYPE kata_agent_scrape_count counter");
	expect("kata_agent_scrape_count 3");
	expect("# TYPE kata_guest_load gauge");
	expect("kata_guest_load{item=\"load1\"} 0.25");
	expect("kata_guest_load{item=\"load15\"} 2.00");
	expect("kata_guest_tasks{item=\"max\"} 120");
	expect("kata_guest_meminfo{item=\"mem_total\"} 524288");
	expect("kata_guest_meminfo{item=\"active_anon\"} 1024");
	expect("kata_guest_meminfo{item=\"s_reclaimable\"} 2048");
	expect("kata_guest_meminfo{item=\"nfs_unstable\"} 0");
	expect("kata_guest_meminfo{item=\"committed_as\"} 3072");
	expect("kata_guest_meminfo{item=\"anon_hugepages\"} 4096");
	expect("kata_guest_meminfo{item=\"hugepages_total\"} 5");
	expect("kata_guest_meminfo{item=\"per_cpu\"} 6144");
	expect("kata_guest_meminfo{item=\"direct_map_4k\"} 7168");
	expect("kata_guest_meminfo{item=\"direct_map_2M\"} 8192");
	expect("kata_guest_vm_stat{item=\"pgfault\"} 4");
	expect("kata_guest_cpu_time{cpu=\"total\",item=\"user\"} 10");
	expect("kata_guest_cpu_time{cpu=\"total\",item=\"guest_nice\"} 100");
	expect("kata_guest_cpu_time{cpu=\"1\",item=\"user\"} 1000");
	cr_expect_null(strstr(text, "cpu=\"x\""));
	expect("kata_guest_netdev_stat{interface=\"eth0\",item=\"recv_multicast\"} 8");
	expect("kata_guest_netdev_stat{interface=\"eth0\",item=\"sent_compressed\"} 16");
	expect("kata_guest_diskstat{disk=\"vda\",item=\"reads\"} 1");
	expect("kata_guest_diskstat{disk=\"vda\",item=\"time_flushing\"} 17");
}

Test(metrics, are_those_of_the_agent)
{
	put("self/stat", "1 (a) name) S 0 1 1 0 -1 4194560 9 8 7 6 150 50 30 40 20 0 1 0 2 8192 3 "
	                 "18446744073709551615\n");
	put("self/status", "Name:\tinit\nVmPeak:\t    12 kB\nRssAnon:\t 13 kB\nThreads:\t1\n"
	                   "nonvoluntary_ctxt_switches:\t14\n");
	put("self/io", "rchar: 1\ncancelled_write_bytes: 2\n");
	text = metrics_read(root, 1);
	expect("kata_agent_threads 1");
	expect("kata_agent_total_time 2.00");
	expect("kata_agent_total_vm 8192");
	expect("kata_agent_total_rss 12288");
	expect("kata_agent_proc_stat{item=\"cutime\"} 30");
	expect("kata_agent_proc_status{item=\"vmpeak\"} 12");
	expect("kata_agent_proc_status{item=\"rssanon\"} 13");
	expect("kata_agent_proc_status{item=\"nonvoluntary_ctxt_switches\"} 14");
	cr_expect_null(strstr(text, "item=\"threads\""));
	expect("kata_agent_io_stat{item=\"cancelled_write_bytes\"} 2");
}

/* A container may name a link. */
Test(metrics, names_are_quoted)
{
	put("net/dev", "a\nb\na\"\\\xff\tb: 1\n");
	text = metrics_read(root, 1);
	expect("kata_guest_netdev_stat{interface=\"a\\\"\\\\??b\",item=\"recv_bytes\"} 1");
}

Test(metrics, a_file_that_is_not_there_or_says_nothing_has_no_samples)
{
	put("stat", "");
	put("meminfo", "MemTotal\nMemFree: none\n:\n");
	put("self/stat", "1 (a");
	text = metrics_read(root, 1);
	expect("kata_agent_scrape_count 1");
	cr_expect_null(strchr(text, '{'));
}

Test(metrics, are_bounded)
{
	size_t len = METRICS_MAX;
	autofree char *lines = mem_alloc(len + 1);

	for (size_t i = 0; i + 16 <= len; i += 16)
		snprintf(lines + i, 17, "pgf%08zu %03d\n", i, 7);
	put("vmstat", lines);
	put("net/dev", lines);
	text = metrics_read(root, 1);
	cr_expect_leq(strlen(text), METRICS_MAX);
	cr_expect_eq(text[strlen(text) - 1], '\n');
}

Test(metrics, of_this_machine_are_plausible)
{
	text = metrics_read("", 1);
	cr_expect_not_null(strstr(text, "\nkata_guest_meminfo{item=\"mem_available\"} "));
	cr_expect_not_null(strstr(text, "\nkata_guest_cpu_time{cpu=\"0\",item=\"idle\"} "));
	cr_expect_not_null(
		strstr(text, "\nkata_guest_netdev_stat{interface=\"lo\",item=\"sent_bytes\"} "));
	cr_expect_not_null(strstr(text, "\nkata_agent_total_rss "));
}
