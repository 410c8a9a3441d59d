#include "agent/pod/service.h"

#include "agent/pod/calls.h"
#include "proto/agent.pb-c.h"
#include "proto/health.pb-c.h"

/* clang-format off */
#define EMPTY &google__protobuf__empty__descriptor

static const struct ttrpc_method agent_methods[] = {
	{ "CreateSandbox", &grpc__create_sandbox_request__descriptor, EMPTY, sandbox_on_create },
	{ "DestroySandbox", &grpc__destroy_sandbox_request__descriptor, EMPTY, sandbox_on_destroy },
	{ "CreateContainer", &grpc__create_container_request__descriptor, EMPTY, container_on_create },
	{ "StartContainer", &grpc__start_container_request__descriptor, EMPTY, container_on_start },
	{ "RemoveContainer", &grpc__remove_container_request__descriptor, EMPTY, container_on_remove },
	{ "PauseContainer", &grpc__pause_container_request__descriptor, EMPTY, container_on_pause },
	{ "ResumeContainer", &grpc__resume_container_request__descriptor, EMPTY, container_on_resume },
	{ "UpdateContainer", &grpc__update_container_request__descriptor, EMPTY, container_on_update },
	{ "StatsContainer", &grpc__stats_container_request__descriptor, &grpc__stats_container_response__descriptor, container_on_stats },
	{ "ExecProcess", &grpc__exec_process_request__descriptor, EMPTY, process_on_exec },
	{ "SignalProcess", &grpc__signal_process_request__descriptor, EMPTY, process_on_signal },
	{ "WaitProcess", &grpc__wait_process_request__descriptor, &grpc__wait_process_response__descriptor, process_on_wait },
	{ "TtyWinResize", &grpc__tty_win_resize_request__descriptor, EMPTY, process_on_resize },
	{ "WriteStdin", &grpc__write_stream_request__descriptor, &grpc__write_stream_response__descriptor, process_on_write_stdin },
	{ "ReadStdout", &grpc__read_stream_request__descriptor, &grpc__read_stream_response__descriptor, process_on_read_stdout },
	{ "ReadStderr", &grpc__read_stream_request__descriptor, &grpc__read_stream_response__descriptor, process_on_read_stderr },
	{ "CloseStdin", &grpc__close_stdin_request__descriptor, EMPTY, process_on_close_stdin },
	{ "GetOOMEvent", &grpc__get_oomevent_request__descriptor, &grpc__oomevent__descriptor, sandbox_on_oom_event },
	{ "UpdateInterface", &grpc__update_interface_request__descriptor, &types__interface__descriptor, network_on_update_interface },
	{ "ListInterfaces", &grpc__list_interfaces_request__descriptor, &grpc__interfaces__descriptor, network_on_list_interfaces },
	{ "UpdateRoutes", &grpc__update_routes_request__descriptor, &grpc__routes__descriptor, network_on_update_routes },
	{ "ListRoutes", &grpc__list_routes_request__descriptor, &grpc__routes__descriptor, network_on_list_routes },
	{ "AddARPNeighbors", &grpc__add_arpneighbors_request__descriptor, EMPTY, network_on_add_neighbours },
	{ "GetGuestDetails", &grpc__guest_details_request__descriptor, &grpc__guest_details_response__descriptor, guest_on_details },
	{ "OnlineCPUMem", &grpc__online_cpumem_request__descriptor, EMPTY, guest_on_online },
	{ "GetMetrics", &grpc__get_metrics_request__descriptor, &grpc__metrics__descriptor, guest_on_metrics },
	{ "GetVolumeStats", &grpc__volume_stats_request__descriptor, &grpc__volume_stats_response__descriptor, guest_on_volume_stats },
	{ "AddSwap", &grpc__add_swap_request__descriptor, EMPTY, guest_on_add_swap },
	{ "RemoveStaleVirtiofsShareMounts", &grpc__remove_stale_virtiofs_share_mounts_request__descriptor, EMPTY, guest_on_stale_mounts },
	{ "SetGuestDateTime", &grpc__set_guest_date_time_request__descriptor, EMPTY, guest_on_set_time },
	{ "ReseedRandomDev", &grpc__reseed_random_dev_request__descriptor, EMPTY, guest_on_reseed },
	{ 0 },
};

static const struct ttrpc_method health_methods[] = {
	{ "Check", &grpc__check_request__descriptor, &grpc__health_check_response__descriptor, guest_on_check },
	{ "Version", &grpc__check_request__descriptor, &grpc__version_check_response__descriptor, guest_on_version },
	{ 0 },
};

static const struct ttrpc_service services[] = {
	{ "grpc.AgentService", agent_methods },
	{ "grpc.Health", health_methods },
	{ 0 },
};
/* clang-format on */

const struct ttrpc_service *service_table(void)
{
	return services;
}
