/*
 * The calls about the guest itself, and what they come to in its kernel: the C library's functions
 * that change a clock are the test's own.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "agent/guest/guest.h"
#include "common/file.h"
#include "common/mem.h"
#include "host.h"
#include "proto/features.h"
#include "proto/health.pb-c.h"
#include "proto/ttrpc/ttrpc_client.h"

static struct {
	struct timex step;
	struct timeval slew;
	struct timeval set;
	int errno_;
} clock_calls;

static int answer(void)
{
	errno = clock_calls.errno_;
	return errno ? -1 : 0;
}

int clock_adjtime(clockid_t clock, struct timex *step)
{
	cr_assert_eq(clock, CLOCK_REALTIME);
	clock_calls.step = *step;
	return answer();
}

int adjtime(const struct timeval *delta, struct timeval *old)
{
	clock_calls.slew = *delta;
	return answer();
}

int settimeofday(const struct timeval *now, const struct timezone *zone)
{
	clock_calls.set = *now;
	return answer();
}

static struct host host;

static void setup(void)
{
	host_init(&host);
}

static void teardown(void)
{
	host_fini(&host);
}

TestSuite(guest_calls, .init = setup, .fini = teardown, .timeout = 120);

static Grpc__SetGuestDateTimeRequest step_of(int64_t ns)
{
	Grpc__SetGuestDateTimeRequest request = GRPC__SET_GUEST_DATE_TIME_REQUEST__INIT;

	request.shift_case = GRPC__SET_GUEST_DATE_TIME_REQUEST__SHIFT_STEP_NS;
	request.step_ns = ns;
	return request;
}

static enum error_code set_time(const Grpc__SetGuestDateTimeRequest *request)
{
	return host_call(&host, "SetGuestDateTime", &request->base, NULL);
}

Test(guest_calls, a_step_of_the_clock_has_a_fraction_that_is_not_negative)
{
	static const struct {
		int64_t ns;
		long sec;
		long usec;
	} rows[] = {
		{ 1500000000, 1, 500000 },
		{ -1500000000, -2, 500000 },
		{ -930000000, -1, 70000 },
		{ -2000000000, -2, 0 },
		{ 999, 0, 0 },
		{ 86400LL * 1000000000, 86400, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		Grpc__SetGuestDateTimeRequest request = step_of(rows[i].ns);

		cr_assert_eq(set_time(&request), ERROR_NONE);
		cr_assert_eq(clock_calls.step.modes, ADJ_SETOFFSET);
		cr_assert_eq(clock_calls.step.time.tv_sec, rows[i].sec, "row %zu", i);
		cr_assert_eq(clock_calls.step.time.tv_usec, rows[i].usec, "row %zu", i);
	}
}

Test(guest_calls, the_clock_is_slewed_or_set_as_the_call_says)
{
	Grpc__SetGuestDateTimeRequest request = GRPC__SET_GUEST_DATE_TIME_REQUEST__INIT;

	request.sec = 1700000000;
	request.usec = 123456;
	cr_assert_eq(set_time(&request), ERROR_NONE);
	cr_assert_eq(clock_calls.set.tv_sec, 1700000000);
	cr_assert_eq(clock_calls.set.tv_usec, 123456);
	request.shift_case = GRPC__SET_GUEST_DATE_TIME_REQUEST__SHIFT_SLEW_NS;
	request.slew_ns = -7000000;
	clock_calls.set.tv_sec = 0;
	cr_assert_eq(set_time(&request), ERROR_NONE);
	cr_assert_eq(clock_calls.slew.tv_sec, 0);
	cr_assert_eq(clock_calls.slew.tv_usec, -7000);
	cr_assert_eq(clock_calls.set.tv_sec, 0, "and nothing else");
}

Test(guest_calls, a_clock_that_cannot_be_changed_is_an_error)
{
	Grpc__SetGuestDateTimeRequest request = step_of(5);

	clock_calls.errno_ = EINVAL;
	cr_assert_eq(set_time(&request), ERROR_UNKNOWN);
	request.shift_case = GRPC__SET_GUEST_DATE_TIME_REQUEST__SHIFT_SLEW_NS;
	cr_assert_eq(set_time(&request), ERROR_UNKNOWN);
	request.shift_case = GRPC__SET_GUEST_DATE_TIME_REQUEST__SHIFT__NOT_SET;
	cr_assert_eq(set_time(&request), ERROR_UNKNOWN);
}

struct details {
	bool here;
	bool has_clock;
	int64_t clock_ns;
	unsigned int features;
	bool has_virtiofs, has_ephemeral;
	char version[32];
};

static void on_details(void *ctx, const ProtobufCMessage *message, const struct error *err)
{
	const Grpc__GuestDetailsResponse *response = (const void *)message;
	struct details *details = ctx;

	cr_assert(response, "%s", err ? err->text : "");
	details->here = true;
	details->has_clock = response->clock_case == GRPC__GUEST_DETAILS_RESPONSE__CLOCK_CLOCK_NS;
	details->clock_ns = response->clock_ns;
	for (size_t i = 0; i < response->agent_details->n_extra_features; i++)
		details->features |= features_parse(response->agent_details->extra_features[i]);
	for (size_t i = 0; i < response->agent_details->n_storage_handlers; i++) {
		const char *name = response->agent_details->storage_handlers[i];

		details->has_virtiofs |= !strcmp(name, "virtio-fs");
		details->has_ephemeral |= !strcmp(name, "ephemeral");
	}
}

static struct details get_details(bool clock)
{
	Grpc__GuestDetailsRequest request = GRPC__GUEST_DETAILS_REQUEST__INIT;
	struct details details = { false };

	request.clock = clock;
	request.mem_block_size = true;
	request.mem_hotplug_probe = true;
	cr_assert_eq(ttrpc_client_call(host.client, "grpc.AgentService", "GetGuestDetails",
	                               &request.base, &grpc__guest_details_response__descriptor, 0,
	                               on_details, &details, NULL, NULL),
	             0);
	while (!details.here)
		host_turn(&host);
	return details;
}

Test(guest_calls, the_details_tell_features_drivers_and_the_time_if_it_is_asked_for)
{
	struct details details = get_details(true);
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now); /* time(2) is up to a tick behind it */
	cr_assert_eq(details.features,
	             FEATURE_CLOCK | FEATURE_HOST_LIMITS | FEATURE_SIGNAL_ALL |
	                     FEATURE_EXIT_DETAILS | FEATURE_NETWORK_DETAILS |
	                     FEATURE_PID_NAMESPACE_OF | FEATURE_SANDBOX_SYSCTLS |
	                     FEATURE_BIND_STORAGES | FEATURE_RELAY | FEATURE_CONTAINER_HOOKS |
	                     FEATURE_LINK_SETTINGS | FEATURE_MEMORY_VOLUMES | FEATURE_STREAMS |
	                     FEATURE_DEVICE_STORAGES | FEATURE_CPUS_OFFLINE | FEATURE_HUGE_PAGES);
	cr_assert(details.has_virtiofs);
	cr_assert(details.has_ephemeral);
	cr_assert(details.has_clock);
	cr_assert_leq(details.clock_ns / 1000000000, now.tv_sec);
	cr_assert_geq(details.clock_ns / 1000000000, now.tv_sec - 60);
	cr_assert_not(get_details(false).has_clock);
}

static void on_version(void *ctx, const ProtobufCMessage *message, const struct error *err)
{
	const Grpc__VersionCheckResponse *response = (const void *)message;
	struct details *details = ctx;

	cr_assert(response, "%s", err ? err->text : "");
	snprintf(details->version, sizeof(details->version), "%s %s", response->grpc_version,
	         response->agent_version);
	details->here = true;
}

Test(guest_calls, the_version_is_the_protocols_and_ours)
{
	Grpc__CheckRequest request = GRPC__CHECK_REQUEST__INIT;
	struct details details = { false };

	cr_assert_eq(ttrpc_client_call(host.client, "grpc.Health", "Version", &request.base,
	                               &grpc__version_check_response__descriptor, 0, on_version,
	                               &details, NULL, NULL),
	             0);
	while (!details.here)
		host_turn(&host);
	cr_assert_str_eq(details.version, "0.0.1 " KATA_VERSION);
}

Test(guest_calls, entropy_of_no_or_too_many_bytes_is_refused)
{
	static const uint8_t bytes[4097];
	Grpc__ReseedRandomDevRequest request = GRPC__RESEED_RANDOM_DEV_REQUEST__INIT;

	cr_assert_eq(host_call(&host, "ReseedRandomDev", &request.base, NULL),
	             ERROR_INVALID_ARGUMENT);
	request.data = (ProtobufCBinaryData){ sizeof(bytes), (uint8_t *)bytes };
	cr_assert_eq(host_call(&host, "ReseedRandomDev", &request.base, NULL),
	             ERROR_INVALID_ARGUMENT);
}

/* In a child process, whose error it is. */
Test(guest_calls, more_cpus_than_there_are_cannot_be_brought_online)
{
	Grpc__OnlineCPUMemRequest request = GRPC__ONLINE_CPUMEM_REQUEST__INIT;
	struct host_call call;

	request.cpu_only = 1;
	request.nb_cpus = 1000000 + (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
	cr_assert_eq(host_call(&host, "OnlineCPUMem", &request.base, &call), ERROR_UNAVAILABLE);
	cr_expect_not_null(
		strstr(call.err.text, "cannot bring 1000000 CPUs online: 1000000 have not come "),
		"%s", call.err.text);
}

#define CPUS "/sys/devices/system/cpu"

static void expect_cpu(const char *file, char expected)
{
	autofree char *text = NULL;

	cr_assert_gt(file_read(AT_FDCWD, file, 16, &text, NULL), 0);
	cr_expect_eq(*text, expected, "%s: %s", file, text);
}

static void add_cpu(const char *dir, const char *file)
{
	cr_assert_eq(mkdir(dir, 0755), 0);
	cr_assert_eq(file_write(AT_FDCWD, file, 0644, "0\n", 2, NULL), 0);
}

/* Else the host, which asks for the same number again, would wait for CPUs that are online. */
Test(guest_calls, cpus_that_come_too_late_are_brought_online_when_that_is_asked_again)
{
	struct error err = { 0 };

	cr_assert_eq(unshare(CLONE_NEWNS), 0);
	cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	cr_assert_eq(mount("cpus", CPUS, "tmpfs", 0, NULL), 0);
	cr_assert_eq(mkdir(CPUS "/cpu0", 0755), 0);
	add_cpu(CPUS "/cpu1", CPUS "/cpu1/online");
	cr_assert_lt(guest_online_cpus(2, &err), 0);
	cr_expect_str_eq(err.text, "cannot bring 2 CPUs online: 1 have not come within 5000 ms");
	expect_cpu(CPUS "/cpu1/online", '0');
	add_cpu(CPUS "/cpu2", CPUS "/cpu2/online");
	cr_expect_eq(guest_online_cpus(2, &err), 0, "%s", err.text);
	expect_cpu(CPUS "/cpu1/online", '1');
	expect_cpu(CPUS "/cpu2/online", '1');
}

Test(guest_calls, the_cpus_that_came_last_are_taken_offline)
{
	struct error err = { 0 };

	cr_assert_eq(unshare(CLONE_NEWNS), 0);
	cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	cr_assert_eq(mount("cpus", CPUS, "tmpfs", 0, NULL), 0);
	cr_assert_eq(mkdir(CPUS "/cpu0", 0755), 0);
	add_cpu(CPUS "/cpu2", CPUS "/cpu2/online");
	add_cpu(CPUS "/cpu10", CPUS "/cpu10/online");
	add_cpu(CPUS "/cpu9", CPUS "/cpu9/online");
	cr_assert_eq(guest_online_cpus(3, &err), 0, "%s", err.text);
	cr_expect_eq(guest_offline_cpus(2, &err), 0, "%s", err.text);
	expect_cpu(CPUS "/cpu2/online", '1');
	expect_cpu(CPUS "/cpu9/online", '0');
	expect_cpu(CPUS "/cpu10/online", '0');
	cr_expect_lt(guest_offline_cpus(2, &err), 0);
	cr_expect_str_eq(err.text, "no other CPU can be taken offline");
}

Test(guest_calls, a_volume_s_figures_are_those_of_its_file_system)
{
	Grpc__VolumeStatsRequest request = GRPC__VOLUME_STATS_REQUEST__INIT;
	Grpc__RemoveStaleVirtiofsShareMountsRequest stale =
		GRPC__REMOVE_STALE_VIRTIOFS_SHARE_MOUNTS_REQUEST__INIT;
	struct host_call call;

	request.volume_guest_path = "/proc/self";
	cr_expect_eq(host_call(&host, "GetVolumeStats", &request.base, &call), ERROR_NONE);
	cr_expect_eq(call.len, 2, "bytes and inodes");
	request.volume_guest_path = "/nowhere";
	cr_expect_eq(host_call(&host, "GetVolumeStats", &request.base, &call), ERROR_UNKNOWN);
	cr_expect_str_eq(call.err.text,
	                 "cannot look at the volume \"/nowhere\": No such file or directory");
	cr_expect_eq(host_call(&host, "RemoveStaleVirtiofsShareMounts", &stale.base, NULL),
	             ERROR_NONE);
}

Test(guest_calls, metrics_count_how_often_they_are_read)
{
	Grpc__GetMetricsRequest request = GRPC__GET_METRICS_REQUEST__INIT;
	struct host_call call;

	for (int i = 1; i <= 2; i++) {
		autofree char *line = mem_printf("\nkata_agent_scrape_count %d\n", i);

		cr_assert_eq(host_call(&host, "GetMetrics", &request.base, &call), ERROR_NONE);
		cr_expect_not_null(strstr(call.data, line));
		free(call.data);
	}
}
