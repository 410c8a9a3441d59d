/*
 * What a pod does about the network namespace that its spec names: the guest is told in the right
 * order, and afterwards the namespace is as before.
 */
#include <criterion/criterion.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/mem.h"
#include "fake_guest.h"
#include "service_bench.h"
#include "shim/config/config.h"
#include "test/unit/shim/network_fixture.h"

#define CONFIG                                                                                     \
	"{\"ociVersion\":\"1.0.2\",\"process\":{\"args\":[\"sh\"],\"cwd\":\"/\"},"                 \
	"\"root\":{\"path\":\"rootfs\"},"                                                          \
	"\"linux\":{\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"network\"%s}]}}"
#define BLUE ",\"path\":\"/run/netns/blue\""
#define LOOK "ip -n blue -o addr; ip -n blue -o link; tc -n blue qdisc"

static char *before;

static void setup(void)
{
	unshare_network();
	sh("ip netns add blue && "
	   "ip link add host type veth peer name eth0 netns blue address 02:00:00:00:00:01 && "
	   "ip -n blue link set eth0 addrgenmode none && ip link set host up && "
	   "ip -n blue addr add 10.0.0.2/24 dev eth0 && ip -n blue link set eth0 up && "
	   "ip -n blue route add default via 10.0.0.1 && "
	   "ip -n blue neigh add 10.0.0.1 lladdr 02:00:00:00:00:09 dev eth0 nud permanent");
	await_up("eth0");
	before = output_of(LOOK);
	bench_setup();
}

static void teardown(void)
{
	autofree char *after = NULL;

	bench_teardown();
	after = output_of(LOOK);
	cr_expect_str_eq(before, after);
	free(before);
}

TestSuite(pod_network, .init = setup, .fini = teardown, .timeout = 120);

static void write_config(const char *namespace)
{
	autofree char *text = mem_printf(CONFIG, namespace);

	pod_bench_write_config(text);
}

Test(pod_network, the_guest_is_told_before_its_sandbox_is_made)
{
	autofree char *index = output_of("ip netns exec blue cat /sys/class/net/eth0/ifindex");
	autofree char *interface = mem_printf("UpdateInterface eth0 at-nic%d", atoi(index));

	write_config(BLUE);
	bench_run_container();
	cr_expect_eq(fake.n_devices, 1);
	cr_expect(fake_order(interface, "UpdateRoutes 1"), "%s", fake.log);
	cr_expect(fake_order("UpdateRoutes 1", "AddARPNeighbors 1"));
	cr_expect(fake_order("AddARPNeighbors 1", "CreateSandbox"));
	sh("tc -n blue qdisc | grep -q 'ingress.*dev eth0'");
}

Test(pod_network, the_namespace_is_as_before_when_the_machine_has_ended)
{
	autofree char *after = NULL;

	write_config(BLUE);
	bench_run_container();
	fake_kill_vm("as told");
	bench_settle();
	after = output_of(LOOK);
	cr_expect_str_eq(before, after);
}

Test(pod_network, without_a_path_there_is_nothing_to_be_told)
{
	write_config("");
	bench_run_container();
	cr_expect_eq(fake.n_devices, 0);
	cr_expect_null(strstr(fake.log, "UpdateInterface"));
}

Test(pod_network, with_the_model_none_nothing_is_connected)
{
	autofree char *during = NULL;

	bench.settings->network_model = NETWORK_MODEL_NONE;
	write_config(BLUE);
	bench_run_container();
	cr_expect_eq(fake.n_devices, 0);
	during = output_of(LOOK);
	cr_expect_str_eq(before, during);
}

static void add_eth1(void)
{
	sh("ip link add host1 type veth peer name eth1 netns blue address 02:00:00:00:00:02 && "
	   "ip -n blue link set eth1 addrgenmode none && ip link set host1 up && "
	   "ip -n blue addr add 10.1.0.2/24 dev eth1 && ip -n blue link set eth1 up");
}

static int index_of(const char *link)
{
	autofree char *path = mem_printf("ip netns exec blue cat /sys/class/net/%s/ifindex", link);
	autofree char *index = output_of(path);

	return atoi(index);
}

static void expect_logged(const char *line)
{
	for (int i = 0; i < 3000 && !fake_logged(line); i++)
		bench_run_for(0.02);
	cr_expect(fake_logged(line), "%s: %s", line, fake.log);
}

/* The same of what comes after @first, which is there. */
static void expect_logged_after(const char *first, const char *line)
{
	const char *log = strstr(fake.log, first);

	cr_assert(log);
	log += strlen(first);
	for (int i = 0; i < 3000 && !strstr(log, line); i++)
		bench_run_for(0.02);
	cr_expect(strstr(log, line), "%s: %s", line, log);
}

/* The machine has none of its descriptors any more. */
static void expect_no_tap(void)
{
	for (int i = 0; i < 600 && !system("ip -n blue -o link | grep -q _kata"); i++)
		bench_run_for(0.1);
	sh("! ip -n blue -o link | grep _kata");
}

Test(pod_network, a_link_that_comes_before_start_is_there_when_the_process_starts)
{
	autofree char *plug = NULL;
	autofree char *interface = NULL;
	struct answer answer;

	write_config(BLUE);
	bench_serve(60000);
	answer = bench_create();
	cr_assert_eq(answer.err.code, ERROR_NONE, "%s", answer.err.text);
	add_eth1();
	plug = mem_printf("plug nic%d", index_of("eth1"));
	interface = mem_printf("UpdateInterface eth1 at-nic%d", index_of("eth1"));
	answer = bench_start("");
	cr_assert_eq(answer.err.code, ERROR_NONE, "%s", answer.err.text);
	cr_expect(fake_order(plug, interface), "%s", fake.log);
	cr_expect(fake_order(interface, "StartContainer c"), "%s", fake.log);
	sh("ip -n blue link del eth1");
}

Test(pod_network, links_come_and_go_while_the_machine_runs)
{
	autofree char *plug = NULL;
	autofree char *unplug = NULL;
	autofree char *interface = NULL;

	write_config(BLUE);
	bench_run_container();
	add_eth1();
	plug = mem_printf("plug nic%d", index_of("eth1"));
	unplug = mem_printf("unplug nic%d", index_of("eth1"));
	interface = mem_printf("UpdateInterface eth1 at-nic%d", index_of("eth1"));
	expect_logged(plug);
	expect_logged(interface);
	sh("ip -n blue link del eth1");
	expect_logged(unplug);
	expect_no_tap();
}

Test(pod_network, routes_that_come_later_are_told)
{
	write_config(BLUE);
	bench_run_container();
	sh("ip -n blue route add 10.5.0.0/16 via 10.0.0.1");
	expect_logged("UpdateRoutes 2");
	sh("ip -n blue route del 10.5.0.0/16");
	expect_logged_after("UpdateRoutes 2", "UpdateRoutes 1");
}

static size_t count(const char *text)
{
	size_t n = 0;

	for (const char *at = fake.log; (at = strstr(at, text)); at++)
		n++;
	return n;
}

static void expect_count(const char *text, size_t n)
{
	for (int i = 0; i < 3000 && count(text) < n; i++)
		bench_run_for(0.02);
	cr_expect_eq(count(text), n, "%s: %s", text, fake.log);
}

Test(pod_network, routes_that_went_while_the_guest_could_not_be_told_go_there_too)
{
	write_config(BLUE);
	bench_run_container();
	fake.fails = "UpdateInterface";
	sh("ip -n blue route del default; ip -n blue link set eth0 mtu 1400");
	expect_count("UpdateInterface", 2);
	bench_run_for(0.1);
	fake.fails = NULL;
	sh("ip -n blue link set eth0 mtu 1500");
	expect_count("UpdateInterface", 3);
	expect_logged("UpdateRoutes 0");
}

Test(pod_network, nothing_is_told_twice)
{
	const char *first;

	write_config(BLUE);
	bench_run_container();
	sh("ip -n blue link add idle type bridge && ip -n blue link del idle");
	bench_run_for(0.3);
	first = strstr(fake.log, "UpdateInterface");
	cr_assert(first);
	cr_expect_null(strstr(first + 1, "UpdateInterface"));
	cr_expect_null(strstr(strstr(fake.log, "UpdateRoutes") + 1, "UpdateRoutes"));
}

static void change_a_route(void)
{
	static unsigned int times;

	sh("ip -n blue route %s 10.5.0.0/16 via 10.0.0.1", times++ % 2 ? "del" : "add");
}

Test(pod_network, a_namespace_that_never_rests_holds_up_no_start)
{
	write_config(BLUE);
	fake.on_routes = change_a_route;
	bench_run_container();
	cr_expect_gt(count("UpdateRoutes"), 10, "%s", fake.log);
	fake.on_routes = NULL;
	bench_run_for(0.3);
	sh("ip -n blue route flush 10.5.0.0/16");
}

Test(pod_network, a_card_that_the_machine_refuses_is_not_tried_again)
{
	struct answer answer;
	autofree char *plug = NULL;

	write_config(BLUE);
	bench_run_container();
	fake.cards_refused = true;
	add_eth1();
	plug = mem_printf("plug nic%d", index_of("eth1"));
	expect_logged(plug);
	sh("ip -n blue addr add 10.2.0.2/24 dev eth1");
	bench_run_for(0.3);
	cr_expect_null(strstr(strstr(fake.log, plug) + 1, plug));
	expect_no_tap();
	answer = bench_exec("e");
	cr_expect_eq(answer.err.code, ERROR_NONE, "%s", answer.err.text);
	sh("ip -n blue link del eth1");
}

Test(pod_network, a_link_that_cannot_be_served_later_is_passed_over)
{
	struct answer answer;

	write_config(BLUE);
	bench_serve(60000);
	answer = bench_create();
	cr_assert_eq(answer.err.code, ERROR_NONE, "%s", answer.err.text);
	sh("ip -n blue tuntap add tun5 mode tun && ip -n blue addr add 10.5.0.1/24 dev tun5 && "
	   "ip -n blue link set tun5 up");
	add_eth1();
	answer = bench_start("");
	cr_expect_eq(answer.err.code, ERROR_NONE, "%s", answer.err.text);
	cr_expect(strstr(fake.log, "UpdateInterface eth1"), "%s", fake.log);
	sh("ip -n blue link del tun5; ip -n blue link del eth1");
}

Test(pod_network, a_machine_that_dies_while_a_card_comes_leaves_nothing)
{
	struct answer answer;

	write_config(BLUE);
	bench_serve(60000);
	answer = bench_create();
	cr_assert_eq(answer.err.code, ERROR_NONE, "%s", answer.err.text);
	add_eth1();
	fake.holds = "UpdateInterface";
	fake.holding = false;
	bench_ask_start(&answer, "");
	bench_settle();
	cr_expect(fake.holding);
	fake_kill_vm("as told");
	cr_assert(bench_wait_until(&answer.here));
	cr_expect(strstr(answer.err.text, "as told"), "%s", answer.err.text);
	sh("ip -n blue link del eth1");
}

static void expect_no_service(const char *namespace, const char *text)
{
	struct error err = { 0 };

	write_config(namespace);
	cr_expect_lt(bench_try_serve(&err), 0);
	cr_expect_str_eq(err.text, text);
}

Test(pod_network, a_path_that_is_no_namespace_is_refused_at_the_start)
{
	expect_no_service(",\"path\":\"/run/netns/none\"",
	                  "linux.namespaces network: cannot open \"/run/netns/none\": No such "
	                  "file or directory");
}

Test(pod_network, the_hosts_own_namespace_is_refused_at_the_start)
{
	expect_no_service(
		",\"path\":\"/proc/self/ns/net\"",
		"linux.namespaces network: \"/proc/self/ns/net\": the host's network: not "
		"supported");
}

/* As of docker's --network container:X, where X is a container of runc. */
Test(pod_network, the_namespace_of_a_container_is_refused_at_the_start)
{
	autofree char *path = NULL, *row = NULL, *text = NULL;
	pid_t pid;

	cr_assert_eq(unshare(CLONE_NEWPID), 0);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		int r = unshare(CLONE_NEWNET);

		pause();
		_exit(r);
	}
	path = mem_printf("/proc/%d/ns/net", (int)pid);
	row = mem_printf(",\"path\":\"%s\"", path);
	text = mem_printf("linux.namespaces network: \"%s\": the network of another container: "
	                  "not supported; the machine would take its links away from it",
	                  path);
	expect_no_service(row, text);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

Test(pod_network, another_namespace_at_create_is_refused)
{
	struct answer answer;

	sh("ip netns add red");
	write_config(BLUE);
	bench_serve(60000);
	write_config(",\"path\":\"/run/netns/red\"");
	answer = bench_create();
	cr_expect_eq(answer.err.code, ERROR_UNIMPLEMENTED);
	cr_expect(strstr(answer.err.text, "linux.namespaces network: \"/run/netns/red\": not the "
	                                  "pod's network namespace: not supported"),
	          "%s", answer.err.text);
}

Test(pod_network, a_guest_that_refuses_fails_the_create_with_its_words)
{
	struct answer answer;

	write_config(BLUE);
	fake.fails = "UpdateRoutes";
	error_set(&fake.refusal, ERROR_INVALID_ARGUMENT, "no such gateway");
	bench_serve(60000);
	answer = bench_create();
	cr_expect(strstr(answer.err.text, "cannot set up the guest's network: no such gateway"),
	          "%s", answer.err.text);
}

Test(pod_network, a_machine_that_dies_meanwhile_leaves_nothing)
{
	struct answer answer;

	write_config(BLUE);
	fake.holds = "UpdateInterface";
	bench_serve(60000);
	bench_ask_create(&answer);
	bench_settle();
	cr_expect(fake.holding);
	fake_kill_vm("as told");
	cr_assert(bench_wait_until(&answer.here));
	cr_expect(strstr(answer.err.text, "as told"), "%s", answer.err.text);
}
