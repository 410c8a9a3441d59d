#include "proto/features.h"

#include <criterion/criterion.h>
#include <stdbool.h>
#include <string.h>

#include "common/error.h"
#include "proto/agent.pb-c.h"

Test(features, are_known_by_their_words_and_others_ignored)
{
	cr_assert_eq(features_parse("0.1.0"), 0);
	cr_assert_eq(features_parse(""), 0);
	cr_assert_eq(features_parse("0.1.0 clock"), FEATURE_CLOCK);
	cr_assert_eq(features_parse("0.1.0  oci7 clock "), FEATURE_CLOCK);
	cr_assert_eq(features_parse("0.1.0 clocks cloc CLOCK"), 0);
}

Test(features, of_the_agent_itself_are_all_known)
{
	unsigned int all = 0;

	for (const char *const *word = features_words(); *word; word++) {
		cr_assert_eq(features_parse(*word) & all, 0, "%s", *word);
		cr_assert_neq(features_parse(*word), 0, "%s", *word);
		all |= features_parse(*word);
	}
}

Test(features, that_are_missing_are_named)
{
	struct error err;

	cr_assert_eq(features_require(FEATURE_CLOCK, FEATURE_CLOCK, "the clock", &err), 0);
	cr_assert_lt(features_require(0, FEATURE_CLOCK, "the clock", &err), 0);
	cr_assert_eq(err.code, ERROR_UNIMPLEMENTED);
	cr_assert_str_eq(err.text, "the clock: not supported by the guest's agent");
}

/* Every message that a call of the agent can carry. */
struct messages {
	const ProtobufCMessageDescriptor *all[256];
	size_t n;
	size_t own; /* fields of our own that were seen */
};

static void walk(struct messages *seen, const ProtobufCMessageDescriptor *type)
{
	for (size_t i = 0; i < seen->n; i++)
		if (seen->all[i] == type)
			return;
	cr_assert_lt(seen->n, sizeof(seen->all) / sizeof(seen->all[0]));
	seen->all[seen->n++] = type;
	for (unsigned int i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &type->fields[i];

		if (field->id >= FEATURE_FIELD_FIRST) {
			seen->own++;
			cr_expect_neq(features_of_field(type, field->id), 0, "%s.%s has no feature",
			              type->name, field->name);
		}
		if (field->type == PROTOBUF_C_TYPE_MESSAGE)
			walk(seen, field->descriptor);
	}
}

Test(features, are_given_to_every_field_of_our_own)
{
	const ProtobufCServiceDescriptor *service = &grpc__agent_service__descriptor;
	struct messages seen = { .n = 0 };

	for (unsigned int i = 0; i < service->n_methods; i++) {
		walk(&seen, service->methods[i].input);
		walk(&seen, service->methods[i].output);
	}
	cr_expect_gt(seen.n, 50);
	cr_expect_gt(seen.own, 10);
}

static void expect_check(const ProtobufCMessage *request, unsigned int needed, const char *name)
{
	struct error err;

	cr_expect_eq(features_check(needed, request, &err), 0);
	if (!needed)
		return;
	cr_expect_lt(features_check(~needed, request, &err), 0);
	cr_expect_eq(err.code, ERROR_UNIMPLEMENTED);
	cr_expect(strstr(err.text, name) == err.text, "%s", err.text);
}

Test(features, are_needed_by_the_fields_that_a_request_sets)
{
	Grpc__SignalProcessRequest signal = GRPC__SIGNAL_PROCESS_REQUEST__INIT;
	Grpc__SetGuestDateTimeRequest clock = GRPC__SET_GUEST_DATE_TIME_REQUEST__INIT;
	Grpc__CreateSandboxRequest sandbox = GRPC__CREATE_SANDBOX_REQUEST__INIT;
	Grpc__CreateSandboxRequest__HostSysctlsEntry entry =
		GRPC__CREATE_SANDBOX_REQUEST__HOST_SYSCTLS_ENTRY__INIT;
	Grpc__CreateSandboxRequest__HostSysctlsEntry *entries = &entry;

	expect_check(&signal.base, 0, "");
	signal.all = 1;
	expect_check(&signal.base, FEATURE_SIGNAL_ALL, "SignalProcessRequest.all:");
	clock.sec = 5;
	expect_check(&clock.base, 0, "");
	clock.shift_case = GRPC__SET_GUEST_DATE_TIME_REQUEST__SHIFT_SLEW_NS;
	expect_check(&clock.base, FEATURE_CLOCK, "SetGuestDateTimeRequest.slew_ns:");
	expect_check(&sandbox.base, 0, "");
	sandbox.host_sysctls = &entries;
	sandbox.n_host_sysctls = 1;
	expect_check(&sandbox.base, FEATURE_HOST_LIMITS, "CreateSandboxRequest.host_sysctls:");
}

Test(features, are_needed_by_the_fields_of_messages_in_a_request)
{
	Grpc__UpdateRoutesRequest request = GRPC__UPDATE_ROUTES_REQUEST__INIT;
	Grpc__Routes list = GRPC__ROUTES__INIT;
	Types__Route routes[2] = { TYPES__ROUTE__INIT, TYPES__ROUTE__INIT };
	Types__Route *all[2] = { &routes[0], &routes[1] };
	Types__RouteDetails details = TYPES__ROUTE_DETAILS__INIT;

	request.routes = &list;
	list.routes = all;
	list.n_routes = 2;
	expect_check(&request.base, 0, "");
	routes[1].details = &details;
	expect_check(&request.base, FEATURE_NETWORK_DETAILS, "Route.details:");
}
