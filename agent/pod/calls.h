/*
 * The handlers of service.c's rows, each in the file of its noun: sandbox_calls.c,
 * container_calls.c, process_calls.c, network_calls.c, guest_calls.c, swap_calls.c. Their ctx is the struct sandbox.
 */
#ifndef AGENT_CALLS_H
#define AGENT_CALLS_H

#include "proto/ttrpc/ttrpc_server.h"

ttrpc_handler_fn sandbox_on_create;
ttrpc_handler_fn sandbox_on_destroy;
ttrpc_handler_fn sandbox_on_oom_event;

ttrpc_handler_fn container_on_create;
ttrpc_handler_fn container_on_start;
ttrpc_handler_fn container_on_remove;
ttrpc_handler_fn container_on_pause;
ttrpc_handler_fn container_on_resume;
ttrpc_handler_fn container_on_update;
ttrpc_handler_fn container_on_stats;

ttrpc_handler_fn process_on_exec;
ttrpc_handler_fn process_on_signal;
ttrpc_handler_fn process_on_wait;
ttrpc_handler_fn process_on_resize;
ttrpc_handler_fn process_on_close_stdin;
ttrpc_handler_fn process_on_write_stdin;
ttrpc_handler_fn process_on_read_stdout;
ttrpc_handler_fn process_on_read_stderr;

ttrpc_handler_fn network_on_update_interface;
ttrpc_handler_fn network_on_list_interfaces;
ttrpc_handler_fn network_on_update_routes;
ttrpc_handler_fn network_on_list_routes;
ttrpc_handler_fn network_on_add_neighbours;

ttrpc_handler_fn guest_on_details;
ttrpc_handler_fn guest_on_online;
ttrpc_handler_fn guest_on_set_time;
ttrpc_handler_fn guest_on_reseed;
ttrpc_handler_fn guest_on_metrics;
ttrpc_handler_fn guest_on_volume_stats;
ttrpc_handler_fn guest_on_stale_mounts;
ttrpc_handler_fn guest_on_add_swap;
ttrpc_handler_fn guest_on_check;
ttrpc_handler_fn guest_on_version;

#endif
