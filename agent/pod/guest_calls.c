#include <assert.h>
#include <stdbool.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "agent/guest/guest.h"
#include "agent/guest/storage_driver.h"
#include "agent/pod/calls.h"
#include "agent/pod/sandbox.h"
#include "common/buf.h"
#include "common/cleanup.h"
#include "common/error.h"
#include "common/loop/errand.h"
#include "common/mem.h"
#include "proto/agent.pb-c.h"
#include "proto/features.h"
#include "proto/health.pb-c.h"

#define PROTOCOL_VERSION  "0.0.1" /* as upstream's agent answers */
#define ONLINE_TIMEOUT_MS 30000
#define VOLUME_TIMEOUT_MS 10000 /* the host may not answer for it */
#define DRIVERS_MAX       16

void guest_on_check(struct ttrpc_call *call, const ProtobufCMessage *request, void *ctx)
{
	Grpc__HealthCheckResponse response = GRPC__HEALTH_CHECK_RESPONSE__INIT;

	response.status = GRPC__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
	ttrpc_call_reply(call, &response.base);
}

void guest_on_version(struct ttrpc_call *call, const ProtobufCMessage *request, void *ctx)
{
	Grpc__VersionCheckResponse response = GRPC__VERSION_CHECK_RESPONSE__INIT;

	response.grpc_version = PROTOCOL_VERSION;
	response.agent_version = KATA_VERSION;
	ttrpc_call_reply(call, &response.base);
}

/* Returns how many there are. */
static size_t list_drivers(const char *names[DRIVERS_MAX])
{
	const struct storage_driver *driver;
	size_t n = 0;

	for (driver = storage_drivers(); driver->name; driver++) {
		if (n && !strcmp(names[n - 1], driver->name))
			continue; /* it has several file systems */
		assert(n < DRIVERS_MAX);
		names[n++] = driver->name;
	}
	return n;
}

void guest_on_details(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Grpc__GuestDetailsRequest *request = (const Grpc__GuestDetailsRequest *)message;
	Grpc__GuestDetailsResponse response = GRPC__GUEST_DETAILS_RESPONSE__INIT;
	Grpc__AgentDetails details = GRPC__AGENT_DETAILS__INIT;
	const char *drivers[DRIVERS_MAX];
	const char *const *features = features_words();

	details.version = KATA_VERSION;
	details.init_daemon = getpid() == 1;
	details.storage_handlers = (char **)drivers;
	details.n_storage_handlers = list_drivers(drivers);
	details.extra_features = (char **)features;
	while (features[details.n_extra_features])
		details.n_extra_features++;
	details.supports_seccomp = 1;
	response.agent_details = &details;
	if (request->mem_block_size)
		response.mem_block_size_bytes = guest_memory_block_size();
	if (request->mem_hotplug_probe)
		response.support_mem_hotplug_probe =
			access("/sys/devices/system/memory/probe", F_OK) == 0;
	if (request->clock) {
		response.clock_case = GRPC__GUEST_DETAILS_RESPONSE__CLOCK_CLOCK_NS;
		response.clock_ns = guest_clock_ns();
	}
	ttrpc_call_reply(call, &response.base);
}

/* An OnlineCPUMem under way. */
struct online {
	struct ttrpc_call *call;
	struct errand *errand;
	bool cpu_only;
	uint32_t cpus;  /* to be brought online */
	uint32_t leave; /* to be taken offline */
};

/* In a child process: the kernel needs its time for each of them. */
static int online_all(void *ctx, struct errand_result *result, struct error *err)
{
	const struct online *online = ctx;
	int r = online->cpu_only ? 0 : guest_online_memory(err);

	if (r == 0)
		r = guest_online_cpus(online->cpus, err);
	return r < 0 ? r : guest_offline_cpus(online->leave, err);
}

static void on_online(void *ctx, const struct error *err)
{
	struct online *online = ctx;

	ttrpc_call_finish(online->call, err);
	errand_destroy(online->errand);
	free(online);
}

/* nb_cpus is how many are to be online then. */
static void count_cpus(struct online *online, const Grpc__OnlineCPUMemRequest *request)
{
	long there = sysconf(_SC_NPROCESSORS_ONLN);

	if (there > 0 && request->nb_cpus > (uint32_t)there)
		online->cpus = request->nb_cpus - (uint32_t)there;
	else if (there > 0 && request->exact && request->nb_cpus)
		online->leave = (uint32_t)there - request->nb_cpus;
}

void guest_on_online(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Grpc__OnlineCPUMemRequest *request = (const Grpc__OnlineCPUMemRequest *)message;
	struct online *online = mem_new(struct online);
	struct error err;

	online->call = call;
	online->cpu_only = request->cpu_only;
	count_cpus(online, request);
	if (errand_start(sandbox_loop(ctx), online_all, online, ONLINE_TIMEOUT_MS, on_online,
	                 online, &online->errand, &err) == 0)
		return;
	ttrpc_call_fail(call, &err);
	free(online);
}

void guest_on_metrics(struct ttrpc_call *call, const ProtobufCMessage *request, void *ctx)
{
	autofree char *text = sandbox_metrics(ctx);
	Grpc__Metrics response = GRPC__METRICS__INIT;

	response.metrics = text;
	ttrpc_call_reply(call, &response.base);
}

/* A GetVolumeStats under way. */
struct volume {
	struct ttrpc_call *call;
	struct errand *errand;
	const char *path; /* the call's */
};

/* In a child process: a file system of the host's may take its time. */
static int stat_volume(void *ctx, struct errand_result *result, struct error *err)
{
	const struct volume *volume = ctx;
	struct statvfs stat;

	if (statvfs(volume->path, &stat) < 0)
		return error_errno(err, "cannot look at the volume \"%s\"", volume->path);
	buf_append(&result->bytes, &stat, sizeof(stat));
	return 0;
}

static void reply_volume(struct ttrpc_call *call, const struct statvfs *stat)
{
	Grpc__VolumeStatsResponse response = GRPC__VOLUME_STATS_RESPONSE__INIT;
	Grpc__VolumeCondition condition = GRPC__VOLUME_CONDITION__INIT;
	Grpc__VolumeUsage bytes = GRPC__VOLUME_USAGE__INIT;
	Grpc__VolumeUsage inodes = GRPC__VOLUME_USAGE__INIT;
	Grpc__VolumeUsage *usage[] = { &bytes, &inodes };

	bytes.unit = GRPC__VOLUME_USAGE__UNIT__BYTES;
	bytes.total = stat->f_blocks * stat->f_frsize;
	bytes.available = stat->f_bavail * stat->f_frsize;
	bytes.used = (stat->f_blocks - stat->f_bfree) * stat->f_frsize;
	inodes.unit = GRPC__VOLUME_USAGE__UNIT__INODES;
	inodes.total = stat->f_files;
	inodes.available = stat->f_ffree;
	inodes.used = stat->f_files - stat->f_ffree;
	response.usage = usage;
	response.n_usage = 2;
	response.volume_condition = &condition;
	ttrpc_call_reply(call, &response.base);
}

static void on_volume(void *ctx, const struct error *err)
{
	struct volume *volume = ctx;
	const struct buf *bytes = &errand_result(volume->errand)->bytes;
	struct statvfs stat = { 0 };

	if (bytes->len == sizeof(stat))
		memcpy(&stat, buf_data(bytes), sizeof(stat));
	if (err)
		ttrpc_call_fail(volume->call, err);
	else
		reply_volume(volume->call, &stat);
	errand_destroy(volume->errand);
	free(volume);
}

void guest_on_volume_stats(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Grpc__VolumeStatsRequest *request = (const Grpc__VolumeStatsRequest *)message;
	struct volume *volume = mem_new(struct volume);
	struct error err;

	volume->call = call;
	volume->path = request->volume_guest_path;
	if (errand_start(sandbox_loop(ctx), stat_volume, volume, VOLUME_TIMEOUT_MS, on_volume,
	                 volume, &volume->errand, &err) == 0)
		return;
	ttrpc_call_fail(call, &err);
	free(volume);
}

/* Nothing is to be done: agent/guest/stale_paths.h has it done when a container has gone. */
void guest_on_stale_mounts(struct ttrpc_call *call, const ProtobufCMessage *request, void *ctx)
{
	ttrpc_call_finish(call, NULL);
}

void guest_on_set_time(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Grpc__SetGuestDateTimeRequest *request =
		(const Grpc__SetGuestDateTimeRequest *)message;
	struct error err;
	int r;

	if (request->shift_case == GRPC__SET_GUEST_DATE_TIME_REQUEST__SHIFT_STEP_NS)
		r = guest_step_clock(request->step_ns, &err);
	else if (request->shift_case == GRPC__SET_GUEST_DATE_TIME_REQUEST__SHIFT_SLEW_NS)
		r = guest_slew_clock(request->slew_ns, &err);
	else
		r = guest_set_time(request->sec, request->usec, &err);
	ttrpc_call_finish(call, r < 0 ? &err : NULL);
}

void guest_on_reseed(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Grpc__ReseedRandomDevRequest *request = (const Grpc__ReseedRandomDevRequest *)message;
	struct error err;
	int r;

	r = guest_add_entropy(request->data.data, request->data.len, &err);
	ttrpc_call_finish(call, r < 0 ? &err : NULL);
}
