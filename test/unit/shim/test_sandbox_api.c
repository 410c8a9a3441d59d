/*
 * Pods of containerd's Sandbox API: what the calls answer in each state, what containers get of the
 * pod, and how it ends.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"
#include "fake_guest.h"
#include "proto/cri_v1.pb-c.h"
#include "proto/message.h"
#include "proto/sandbox_v1.pb-c.h"
#include "proto/task_v2.pb-c.h"
#include "proto/ttrpc/ttrpc_client.h"
#include "service_bench.h"
#include "shim/config/config.h"
#include "test/unit/shim/network_fixture.h"

#define T(name)   Containerd__Runtime__Sandbox__V1__##name
#define OF(name)  containerd__runtime__sandbox__v1__##name
#define TYPE      "runtime.v1.PodSandboxConfig"
#define NETNS     "/run/netns/blue"
#define TEXT_MAX_ 4096
#define HOST(kind)                                                                                 \
	TYPE ": linux.namespaces: the host's " kind " namespace (none is named): not supported"

static Runtime__V1__NamespaceOption options;
static Runtime__V1__LinuxSandboxSecurityContext security;
static Runtime__V1__LinuxPodSandboxConfig linux_config;
static Runtime__V1__PodSandboxConfig config;
static const char *netns;

/* What an answer said. */
static struct {
	bool here;
	struct error err;
	uint32_t pid;
	uint32_t status;
	char state[20];
	char cause[200];
	char text[100]; /* platform, or the type of the metrics */
	int64_t created_s;
	int64_t exited_s;
} answer, exited;

static void setup(void)
{
	autofree char *path = NULL;

	unshare_network();
	sh("ip netns add blue");
	bench_setup();
	path = mem_printf("%s/config.json", fake.dir);
	cr_assert_eq(unlink(path), 0);
	runtime__v1__namespace_option__init(&options);
	runtime__v1__linux_sandbox_security_context__init(&security);
	runtime__v1__linux_pod_sandbox_config__init(&linux_config);
	runtime__v1__pod_sandbox_config__init(&config);
	security.namespace_options = &options;
	linux_config.security_context = &security;
	config.linux = &linux_config;
	config.hostname = "a-pod";
	netns = NETNS;
}

TestSuite(sandbox_api, .init = setup, .fini = bench_teardown, .timeout = 120);

static void read_status(const T(SandboxStatusResponse) * response)
{
	answer.pid = response->pid;
	answer.created_s = response->created_at->seconds;
	answer.exited_s = response->exited_at ? response->exited_at->seconds : 0;
	snprintf(answer.state, sizeof(answer.state), "%s", response->state);
	for (size_t i = 0; i < response->n_info; i++)
		if (strcmp(response->info[i]->key, "cause") == 0)
			snprintf(answer.cause, sizeof(answer.cause), "%s",
			         response->info[i]->value);
}

static void on_answer(void *ctx, const ProtobufCMessage *response, const struct error *err)
{
	answer.here = true;
	error_copy(&answer.err, err);
	if (err)
		return;
	if (response->descriptor == &OF(start_sandbox_response__descriptor)) {
		answer.pid = ((const T(StartSandboxResponse) *)response)->pid;
		answer.created_s = ((const T(StartSandboxResponse) *)response)->created_at->seconds;
	} else if (response->descriptor == &OF(sandbox_status_response__descriptor)) {
		read_status((const void *)response);
	} else if (response->descriptor == &OF(platform_response__descriptor)) {
		const T(Platform) *platform = ((const T(PlatformResponse) *)response)->platform;

		snprintf(answer.text, sizeof(answer.text), "%s/%s", platform->os,
		         platform->architecture);
	} else if (response->descriptor == &OF(sandbox_metrics_response__descriptor)) {
		snprintf(answer.text, sizeof(answer.text), "%s",
		         ((const T(SandboxMetricsResponse) *)response)->metrics->data->type_url);
	}
}

static void on_exit_answer(void *ctx, const ProtobufCMessage *response, const struct error *err)
{
	exited.here = true;
	error_copy(&exited.err, err);
	if (!err)
		exited.status = ((const T(WaitSandboxResponse) *)response)->exit_status;
}

static void ask(const char *method, const void *request, const ProtobufCMessageDescriptor *response,
                ttrpc_done_fn *on)
{
	struct error err;

	cr_assert_eq(ttrpc_client_call(bench.client, "containerd.runtime.sandbox.v1.Sandbox",
	                               method, request, response, 0, on, NULL, NULL, &err),
	             0, "%s", err.text);
}

static void call(const char *method, const void *request,
                 const ProtobufCMessageDescriptor *response)
{
	memset(&answer, 0, sizeof(answer));
	ask(method, request, response, on_answer);
	cr_assert(bench_wait_until(&answer.here), "%s is not answered", method);
}

/* All other requests are alike: they have an id and perhaps more. */
static void call_by_id(const char *method, const char *id,
                       const ProtobufCMessageDescriptor *response)
{
	T(SandboxStatusRequest)
	request = CONTAINERD__RUNTIME__SANDBOX__V1__SANDBOX_STATUS_REQUEST__INIT;

	request.sandbox_id = (char *)id;
	request.verbose = strcmp(method, "SandboxStatus") == 0;
	call(method, &request, response);
}

static void create_of_type(const char *type, const void *data, size_t len)
{
	T(CreateSandboxRequest)
	request = CONTAINERD__RUNTIME__SANDBOX__V1__CREATE_SANDBOX_REQUEST__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;

	any.type_url = (char *)type;
	any.value.data = (uint8_t *)data;
	any.value.len = len;
	request.sandbox_id = "c";
	request.bundle_path = fake.dir;
	request.netns_path = (char *)netns;
	request.options = &any;
	call("CreateSandbox", &request, &OF(create_sandbox_response__descriptor));
}

static void create(void)
{
	ProtobufCBinaryData bytes = message_encode(&config.base);

	create_of_type(TYPE, bytes.data, bytes.len);
	free(bytes.data);
}

static void start(void)
{
	call_by_id("StartSandbox", "c", &OF(start_sandbox_response__descriptor));
}

static void status(void)
{
	call_by_id("SandboxStatus", "c", &OF(sandbox_status_response__descriptor));
}

static void stop(void)
{
	call_by_id("StopSandbox", "c", &OF(stop_sandbox_response__descriptor));
}

static void shut_down(void)
{
	call_by_id("ShutdownSandbox", "c", &OF(shutdown_sandbox_response__descriptor));
}

static void ask_wait(void)
{
	T(WaitSandboxRequest)
	request = CONTAINERD__RUNTIME__SANDBOX__V1__WAIT_SANDBOX_REQUEST__INIT;

	memset(&exited, 0, sizeof(exited));
	request.sandbox_id = "c";
	ask("WaitSandbox", &request, &OF(wait_sandbox_response__descriptor), on_exit_answer);
}

static void expect_good(void)
{
	cr_expect_eq(answer.err.code, ERROR_NONE, "%s", answer.err.text);
}

static void expect_refused(enum error_code code, const char *text)
{
	cr_expect_eq(answer.err.code, code, "%d", answer.err.code);
	cr_expect_str_eq(answer.err.text, text);
}

static void run(void)
{
	bench_serve(60000);
	create();
	expect_good();
	start();
	expect_good();
}

static const char *const namespaces =
	"{\"type\":\"mount\"},{\"type\":\"pid\"},{\"type\":\"ipc\",\"path\":\"/proc/4242/ns/ipc\"},"
	"{\"type\":\"uts\",\"path\":\"/proc/4242/ns/uts\"},"
	"{\"type\":\"network\",\"path\":\"/proc/4242/ns/net\"}";

/* As containerd makes it, which is told that the sandbox's pid is that of the placeholder. */
static struct answer create_container(const char *id, const char *mounts)
{
	autofree char *text = mem_printf(
		"{\"ociVersion\":\"1.0.2\",\"process\":{\"args\":[\"sh\"],\"cwd\":\"/\"},"
		"\"root\":{\"path\":\"rootfs\"},\"mounts\":[%s],"
		"\"annotations\":{\"io.kubernetes.cri.container-type\":\"container\","
		"\"io.kubernetes.cri.sandbox-id\":\"c\"},\"linux\":{\"namespaces\":[%s]}}",
		mounts, namespaces);
	autofree char *bundle = mem_printf("%s/bundle-%s", fake.dir, id);
	autofree char *path = mem_printf("%s/config.json", bundle);
	struct answer done;

	mkdir(bundle, 0700);
	cr_assert_eq(file_write(AT_FDCWD, path, 0600, text, strlen(text), NULL), 0);
	bench.id = id;
	bench.bundle = bundle;
	done = bench_create();
	bench.bundle = NULL;
	return done;
}

static void run_container(const char *id)
{
	struct answer done = create_container(id, "");

	cr_assert_eq(done.err.code, ERROR_NONE, "%s", done.err.text);
	cr_assert_eq(bench_start("").err.code, ERROR_NONE);
}

static char *file_of_pod(const char *name)
{
	autofree char *path = mem_printf("%s/%s", fake.dir, name);
	char *text = NULL;

	cr_assert_geq(file_read(AT_FDCWD, path, TEXT_MAX_, &text, NULL), 0, "%s", path);
	return text;
}

Test(sandbox_api, no_machine_boots_before_it_is_said_what_it_is_to_be)
{
	bench_serve(60000);
	bench_settle();
	cr_expect_eq(fake.vms, 0);
	status();
	expect_refused(ERROR_NOT_FOUND, "sandbox \"c\" is not created");
	start();
	expect_refused(ERROR_NOT_FOUND, "sandbox \"c\" is not created");
	stop();
	expect_refused(ERROR_NOT_FOUND, "sandbox \"c\" is not created");
	bench_expect_refused(create_container("a", ""), ERROR_FAILED_PRECONDITION,
	                     "invalid container \"a\": sandbox \"c\" is not created");
	shut_down();
	expect_good();
	cr_expect(bench_wait_until(&bench.ended));
}

Test(sandbox_api, a_sandbox_is_created_started_stopped_and_shut_down)
{
	int64_t created_s;

	bench_serve(60000);
	create();
	expect_good();
	status();
	cr_expect_str_eq(answer.state, "SANDBOX_NOTREADY");
	cr_expect_eq(answer.pid, 0);
	start();
	expect_good();
	cr_expect_eq(answer.pid, FAKE_PID);
	created_s = answer.created_s;
	cr_expect_gt(created_s, 0);
	ask_wait();
	status();
	cr_expect_str_eq(answer.state, "SANDBOX_READY");
	cr_expect_eq(answer.pid, FAKE_PID);
	cr_expect_eq(answer.created_s, created_s);
	cr_expect_not(exited.here);
	stop();
	expect_good();
	cr_expect(fake_logged("vm_stop"));
	cr_expect_eq(fake.placeholders, 0);
	cr_assert(bench_wait_until(&exited.here));
	cr_expect_eq(exited.status, 0);
	status();
	cr_expect_str_eq(answer.state, "SANDBOX_NOTREADY");
	cr_expect_gt(answer.exited_s, 0);
	cr_expect_not(bench.ending);
	shut_down();
	expect_good();
	cr_expect(bench_wait_until(&bench.ended));
	cr_expect_not(fake_logged("/tasks/create"));
	cr_expect_not(fake_logged("/tasks/exit c"));
}

Test(sandbox_api, the_other_calls_answer)
{
	run();
	call_by_id("Platform", "c", &OF(platform_response__descriptor));
	cr_expect_str_eq(answer.text, "linux/amd64");
	call_by_id("PingSandbox", "c", &OF(ping_response__descriptor));
	expect_good();
	call_by_id("SandboxMetrics", "c", &OF(sandbox_metrics_response__descriptor));
	cr_expect(strstr(answer.text, "io.containerd.cgroups.v"));
	stop();
	call_by_id("PingSandbox", "c", &OF(ping_response__descriptor));
	expect_refused(ERROR_FAILED_PRECONDITION, "sandbox \"c\" has ended");
}

Test(sandbox_api, what_is_not_legal_is_refused)
{
	run();
	create();
	expect_refused(ERROR_ALREADY_EXISTS, "sandbox \"c\" exists already");
	start();
	expect_refused(ERROR_FAILED_PRECONDITION, "sandbox \"c\" runs already");
	call_by_id("StopSandbox", "d", &OF(stop_sandbox_response__descriptor));
	expect_refused(ERROR_NOT_FOUND, "cannot find sandbox \"d\": the shim serves \"c\"");
	stop();
	start();
	expect_refused(ERROR_FAILED_PRECONDITION, "sandbox \"c\" has ended");
	stop();
	expect_good();
}

Test(sandbox_api, the_pod_of_a_container_is_no_sandbox)
{
	pod_bench_write_config(NULL);
	bench_serve(60000);
	create();
	expect_refused(ERROR_FAILED_PRECONDITION,
	               "invalid sandbox \"c\": the shim serves container \"c\" and no sandbox");
}

Test(sandbox_api, options_of_another_type_are_refused)
{
	bench_serve(60000);
	create_of_type("types.example/other.v1.Options", "", 0);
	expect_refused(ERROR_INVALID_ARGUMENT,
	               "options of type \"types.example/other.v1.Options\": expected " TYPE);
	create_of_type(TYPE, "\x12", 1);
	cr_expect_eq(answer.err.code, ERROR_INVALID_ARGUMENT);
	cr_expect_eq(strncmp(answer.err.text, TYPE ": ", strlen(TYPE) + 2), 0, "%s",
	             answer.err.text);
	create(); /* it can be asked again */
	expect_good();
}

Test(sandbox_api, namespaces_of_the_host_are_refused)
{
	bench_serve(60000);
	options.pid = RUNTIME__V1__NAMESPACE_MODE__NODE;
	create();
	expect_refused(ERROR_UNIMPLEMENTED, HOST("pid"));
	options.pid = RUNTIME__V1__NAMESPACE_MODE__POD;
	options.ipc = RUNTIME__V1__NAMESPACE_MODE__NODE;
	create();
	expect_refused(ERROR_UNIMPLEMENTED, HOST("ipc"));
	options.ipc = RUNTIME__V1__NAMESPACE_MODE__POD;
	netns = "";
	create();
	expect_refused(ERROR_UNIMPLEMENTED, HOST("network"));
	netns = "/run/netns/none";
	create();
	expect_refused(ERROR_UNKNOWN,
	               "linux.namespaces network: cannot open \"/run/netns/none\": No "
	               "such file or directory");
	cr_expect_eq(fake.vms, 0);
}

Test(sandbox_api, a_user_namespace_is_refused)
{
	Runtime__V1__UserNamespace user = RUNTIME__V1__USER_NAMESPACE__INIT;

	bench_serve(60000);
	options.userns_options = &user;
	create();
	expect_refused(ERROR_UNIMPLEMENTED,
	               TYPE ": linux.security_context.namespace_options.userns_options: not "
	                    "supported");
	user.mode = RUNTIME__V1__NAMESPACE_MODE__NODE;
	create();
	expect_good();
}

Test(sandbox_api, the_pod_is_as_its_configuration_says)
{
	Runtime__V1__LinuxPodSandboxConfig__SysctlsEntry sysctl =
		RUNTIME__V1__LINUX_POD_SANDBOX_CONFIG__SYSCTLS_ENTRY__INIT;
	Runtime__V1__LinuxPodSandboxConfig__SysctlsEntry *sysctls[] = { &sysctl };

	sysctl.key = "net.core.somaxconn";
	sysctl.value = "512";
	linux_config.sysctls = sysctls;
	linux_config.n_sysctls = 1;
	run();
	cr_expect_str_eq(fake.pod_sysctl, "net.core.somaxconn=512");
	cr_expect(strstr(fake.shm_storage, "size=67108864"), "%s", fake.shm_storage);
}

Test(sandbox_api, the_pods_files_are_what_its_configuration_says)
{
	char *servers[] = { "192.0.2.1", "192.0.2.2" }, *searches[] = { "a.example", "b.example" };
	char *dns_options[] = { "ndots:5" };
	Runtime__V1__DNSConfig dns = RUNTIME__V1__DNSCONFIG__INIT;
	autofree char *hostname = NULL, *resolv_conf = NULL, *path = NULL;

	dns.servers = servers;
	dns.searches = searches;
	dns.options = dns_options;
	dns.n_servers = dns.n_searches = 2;
	dns.n_options = 1;
	config.dns_config = &dns;
	run();
	hostname = file_of_pod("hostname");
	resolv_conf = file_of_pod("resolv.conf");
	path = file_of_pod("netns");
	cr_expect_str_eq(hostname, "a-pod\n");
	cr_expect_str_eq(resolv_conf, "search a.example b.example\nnameserver 192.0.2.1\n"
	                              "nameserver 192.0.2.2\noptions ndots:5\n");
	cr_expect_str_eq(path, NETNS);
}

Test(sandbox_api, without_a_configuration_the_files_are_the_hosts)
{
	autofree char *hosts = NULL, *of_pod = NULL;

	cr_assert_geq(file_read(AT_FDCWD, "/etc/hosts", TEXT_MAX_, &hosts, NULL), 0);
	bench_serve(60000);
	create_of_type("", "", 0);
	expect_good();
	of_pod = file_of_pod("hosts");
	cr_expect_str_eq(hosts, of_pod);
}

Test(sandbox_api, a_container_shares_what_the_pod_has)
{
	run();
	run_container("a");
	cr_expect_str_eq(fake.namespaces, "mount pid cgroup");
	cr_expect_str_eq(fake.shm_source, "/run/kata-containers/sandbox/shm");
	cr_expect_eq(fake.mounts, 1);
}

Test(sandbox_api, no_call_of_the_task_service_means_the_sandbox)
{
	run();
	bench.id = "c";
	cr_expect_eq(bench_state("").err.code, ERROR_NOT_FOUND);
	cr_expect_eq(bench_kill("c", "", 9).err.code, ERROR_NOT_FOUND);
	cr_expect_eq(bench_delete("").err.code, ERROR_NOT_FOUND);
	status();
	cr_expect_str_eq(answer.state, "SANDBOX_READY");
}

Test(sandbox_api, the_last_container_is_not_the_end)
{
	run();
	run_container("a");
	fake_exit("a", 3);
	bench_settle();
	cr_expect_eq(bench_delete("").status, 3);
	cr_expect_eq(bench_shutdown().err.code, ERROR_NONE);
	cr_expect_not(bench.ending);
	run_container("b");
}

Test(sandbox_api, a_stop_ends_its_containers)
{
	struct answer exit;

	run();
	run_container("a");
	bench_ask_wait(&exit, "");
	stop();
	expect_good();
	cr_assert(bench_wait_until(&exit.here));
	cr_expect_eq(exit.status, 137);
	cr_expect_eq(bench_delete("").status, 137);
	bench_expect_refused(create_container("b", ""), ERROR_FAILED_PRECONDITION,
	                     "invalid container \"b\": sandbox \"c\" is not running");
}

Test(sandbox_api, a_stop_ends_a_start_that_waits)
{
	fake.no_hello = true;
	bench_serve(60000);
	create();
	expect_good();
	memset(&exited, 0, sizeof(exited));
	{
		T(StartSandboxRequest)
		request = CONTAINERD__RUNTIME__SANDBOX__V1__START_SANDBOX_REQUEST__INIT;

		request.sandbox_id = "c";
		ask("StartSandbox", &request, &OF(start_sandbox_response__descriptor),
		    on_exit_answer);
	}
	bench_settle();
	cr_expect_not(exited.here);
	stop();
	expect_good();
	cr_expect(exited.here);
	cr_expect_eq(exited.err.code, ERROR_UNAVAILABLE);
	cr_expect_str_eq(exited.err.text, "the virtual machine is being stopped");
	cr_expect_eq(fake.placeholders, 0);
}

Test(sandbox_api, a_machine_that_dies_is_told_with_its_cause)
{
	struct answer exit;

	run();
	run_container("a");
	bench_ask_wait(&exit, "");
	ask_wait();
	fake_kill_vm("QEMU was killed");
	cr_assert(bench_wait_until(&exited.here));
	cr_expect_eq(exited.status, 137);
	cr_assert(bench_wait_until(&exit.here));
	cr_expect_eq(exit.status, 137);
	status();
	cr_expect_str_eq(answer.state, "SANDBOX_NOTREADY");
	cr_expect(strstr(answer.cause, "QEMU was killed"), "%s", answer.cause);
	start();
	cr_expect_eq(answer.err.code, ERROR_FAILED_PRECONDITION);
	cr_expect(strstr(answer.err.text, "QEMU was killed"), "%s", answer.err.text);
	shut_down();
	cr_expect(bench_wait_until(&bench.ended));
}

Test(sandbox_api, a_machine_that_does_not_boot_fails_the_start)
{
	fake.boot_dies = "no kernel";
	bench_serve(60000);
	create();
	expect_good();
	start();
	cr_expect(strstr(answer.err.text, "no kernel"), "%s", answer.err.text);
	status();
	cr_expect_str_eq(answer.state, "SANDBOX_NOTREADY");
	shut_down();
	expect_good();
}

Test(sandbox_api, a_killed_placeholder_ends_the_sandbox)
{
	run();
	ask_wait();
	fake_kill_placeholder(FAKE_PID);
	cr_assert(bench_wait_until(&exited.here));
	cr_expect_eq(exited.status, 137);
	stop();
	expect_good();
}

Test(sandbox_api, a_shutdown_ends_whatever_is_there)
{
	run();
	run_container("a");
	shut_down();
	expect_good();
	cr_expect(bench_wait_until(&bench.ended));
	cr_expect_eq(fake.vms, 0);
}

Test(sandbox_api, a_containerd_that_does_not_know_it_ends_it)
{
	run();
	bench.id = "c";
	cr_expect_eq(bench_shutdown().err.code, ERROR_NONE);
	cr_expect(bench_wait_until(&bench.ended));
}

Test(sandbox_api, one_that_is_not_started_in_time_ends)
{
	bench_serve(3000);
	create();
	expect_good();
	cr_expect(bench_wait_until(&bench.ended));
}

Test(sandbox_api, one_that_is_started_stays)
{
	bench_serve(3000);
	create();
	start();
	bench_run_for(3.2);
	cr_expect_not(bench.ending);
}
