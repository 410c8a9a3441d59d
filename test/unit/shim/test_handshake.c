#include "shim/cli/handshake.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "common/mem.h"
#include "proto/bootstrap.pb-c.h"
#include "proto/message.h"
#include "proto/runc.pb-c.h"
#include "proto/runtimeoptions.pb-c.h"
#include "shim/cli/command_line.h"
#include "shim/cli/standard_input.h"

#define URI "unix:///run/containerd/s/abc"

static struct error err;

/* A pipe that holds these bytes, and its end. */
static int input_of(const void *data, size_t len)
{
	int fds[2];

	cr_assert_eq(pipe(fds), 0);
	cr_assert_eq(write(fds[1], data, len), (ssize_t)len);
	close(fds[1]);
	return fds[0];
}

static const char *address = "/run/containerd/containerd.sock"; /* the flag */

static struct handshake *read_bytes(const void *data, size_t len)
{
	struct command_line options = { .namespace = "default", .id = "web", .address = address };
	struct handshake *handshake = NULL;
	int fd = input_of(data, len);

	handshake_read(&options, fd, &handshake, &err);
	close(fd);
	return handshake;
}

static struct handshake *read_message(const ProtobufCMessage *message)
{
	ProtobufCBinaryData bytes = message_encode(message);
	struct handshake *handshake = read_bytes(bytes.data, bytes.len);

	free(bytes.data);
	return handshake;
}

/* An Any with these options; its value is to be freed. */
static Google__Protobuf__Any options_any(const char *config_path)
{
	Runtimeoptions__V1__Options options = RUNTIMEOPTIONS__V1__OPTIONS__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;

	options.config_path = (char *)config_path;
	any.type_url = RUNTIME_OPTIONS_TYPE;
	any.value = message_encode(&options.base);
	return any;
}

static void clear_environment(void)
{
	unsetenv("MAX_SHIM_VERSION");
	unsetenv("TTRPC_ADDRESS");
}

TestSuite(handshake, .init = clear_environment);

Test(handshake, without_input_is_that_of_containerd_1_6)
{
	autodestroy(handshake) struct handshake *handshake = NULL;

	setenv("TTRPC_ADDRESS", "/run/containerd/containerd.sock.ttrpc", 1);
	handshake = read_bytes("", 0);
	cr_assert_not_null(handshake, "%s", err.text);
	cr_assert_eq(handshake->form, HANDSHAKE_ADDRESS);
	cr_assert_str_eq(handshake->ttrpc_address, "/run/containerd/containerd.sock.ttrpc");
	cr_assert_null(handshake->socket_dir);
	cr_assert_null(handshake->runtime_options.config_path);
	cr_assert_not(handshake->debug);
}

Test(handshake, is_json_where_containerd_says_that_it_knows_it)
{
	static const struct {
		const char *version;
		enum handshake_form form;
	} rows[] = { { "2", HANDSHAKE_JSON },
		     { "3", HANDSHAKE_JSON },
		     { "1", HANDSHAKE_ADDRESS },
		     { "", HANDSHAKE_ADDRESS },
		     { "x", HANDSHAKE_ADDRESS } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		autodestroy(handshake) struct handshake *handshake = NULL;

		setenv("MAX_SHIM_VERSION", rows[i].version, 1);
		handshake = read_bytes("", 0);
		cr_assert_eq(handshake->form, rows[i].form, "%s", rows[i].version);
	}
}

Test(handshake, is_the_address_for_a_client_that_has_none)
{
	autodestroy(handshake) struct handshake *handshake = NULL;

	setenv("MAX_SHIM_VERSION", "2", 1);
	address = "";
	handshake = read_bytes("", 0);
	cr_assert_eq(handshake->form, HANDSHAKE_ADDRESS);
}

Test(handshake, takes_runtime_options_from_input)
{
	autodestroy(handshake) struct handshake *handshake = NULL;
	Google__Protobuf__Any any = options_any("/etc/kata.toml");

	handshake = read_message(&any.base);
	cr_assert_not_null(handshake, "%s", err.text);
	cr_assert_eq(handshake->form, HANDSHAKE_ADDRESS);
	cr_assert_str_eq(handshake->runtime_options.config_path, "/etc/kata.toml");
	cr_assert_null(handshake->runtime_options.config_body);
	free(any.value.data);
}

Test(handshake, refuses_options_of_another_runtime_by_name)
{
	Google__Protobuf__Any any = options_any("/etc/kata.toml");

	any.type_url = "other.v1.Options";
	cr_assert_null(read_message(&any.base));
	cr_assert_str_eq(err.text, "runtime options of type \"other.v1.Options\": expected "
	                           "runtimeoptions.v1.Options");
	any.type_url = "containerd.linux.runc.CreateOptions";
	cr_assert_null(read_message(&any.base));
	cr_assert_str_eq(err.text,
	                 "runtime options of type \"containerd.linux.runc.CreateOptions\" are "
	                 "runc's, as those of ctr's --no-pivot and --uidmap: expected "
	                 "runtimeoptions.v1.Options");
	free(any.value.data);
}

Test(handshake, refuses_input_that_is_no_message)
{
	cr_assert_null(read_bytes("\x0f\xff\xff", 3));
	cr_assert(strstr(err.text, "standard input"), "%s", err.text);
}

Test(handshake, refuses_input_without_an_end, .timeout = 120)
{
	struct command_line options = { .namespace = "default", .id = "web", .address = "" };
	struct handshake *handshake = NULL;
	int fds[2];

	cr_assert_eq(pipe(fds), 0);
	cr_assert_lt(handshake_read(&options, fds[0], &handshake, &err), 0);
	cr_assert_eq(err.code, ERROR_DEADLINE_EXCEEDED);
}

Test(handshake, refuses_input_that_is_too_long)
{
	struct command_line options = { .namespace = "default", .id = "web", .address = "" };
	struct handshake *handshake = NULL;
	FILE *file = tmpfile();

	cr_assert_eq(ftruncate(fileno(file), STANDARD_INPUT_MAX + 1), 0);
	cr_assert_lt(handshake_read(&options, fileno(file), &handshake, &err), 0);
	cr_assert_eq(err.code, ERROR_INVALID_ARGUMENT);
	fclose(file);
}

static void params_init(Containerd__Runtime__Bootstrap__V1__BootstrapParams *params)
{
	*params = (Containerd__Runtime__Bootstrap__V1__BootstrapParams)
		CONTAINERD__RUNTIME__BOOTSTRAP__V1__BOOTSTRAP_PARAMS__INIT;
	params->instance_id = "web";
	params->namespace_ = "default";
	params->containerd_ttrpc_address = "/run/ttrpc";
}

/* BootstrapParams with an extension, read. */
static struct handshake *read_extension(Google__Protobuf__Any *any)
{
	Containerd__Runtime__Bootstrap__V1__BootstrapParams params;
	Containerd__Runtime__Bootstrap__V1__Extension extension =
		CONTAINERD__RUNTIME__BOOTSTRAP__V1__EXTENSION__INIT;
	Containerd__Runtime__Bootstrap__V1__Extension *extensions[] = { &extension };

	params_init(&params);
	extension.value = any;
	params.extensions = extensions;
	params.n_extensions = 1;
	return read_message(&params.base);
}

/* What a task of a sandbox gets of containerd 2.0 to 2.2. */
Test(handshake, takes_options_of_runc_that_only_say_where_the_shim_is)
{
	Containerd__Runc__V1__Options options = CONTAINERD__RUNC__V1__OPTIONS__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
	struct runtime_options out;
	uint8_t root[] = { 0x3a, 1, '/' }; /* field 7 */

	any.type_url = "containerd.runc.v1.Options";
	options.task_api_address = "ttrpc+unix:///run/containerd/s/x";
	options.task_api_version = 2;
	any.value = message_encode(&options.base);
	cr_expect_eq(runtime_options_read(&any, &out, &err), 0, "%s", err.text);
	any.value.data = mem_realloc(any.value.data, any.value.len + sizeof(root));
	memcpy(any.value.data + any.value.len, root, sizeof(root));
	any.value.len += sizeof(root);
	cr_expect_lt(runtime_options_read(&any, &out, &err), 0);
	cr_expect(strstr(err.text, "are runc's"), "%s", err.text);
	free(any.value.data);
}

Test(handshake, refuses_options_of_another_runtime_in_bootstrap_params)
{
	Google__Protobuf__Any any = options_any("/etc/kata.toml");

	any.type_url = "containerd.runc.v1.Options";
	cr_assert_null(read_extension(&any));
	cr_assert(strstr(err.text, "\"containerd.runc.v1.Options\" are runc's"), "%s", err.text);
	any.type_url = "types.example/other.v1.Options";
	cr_assert_null(read_extension(&any));
	cr_assert(strstr(err.text, "expected runtimeoptions.v1.Options"), "%s", err.text);
	free(any.value.data);
}

Test(handshake, ignores_extensions_that_are_no_options)
{
	Google__Protobuf__Any any = options_any("/etc/kata.toml");
	autodestroy(handshake) struct handshake *handshake = NULL;

	any.type_url = "containerd.trace.v1.Context";
	handshake = read_extension(&any);
	cr_assert_not_null(handshake, "%s", err.text);
	cr_assert_null(handshake->runtime_options.config_path);
	free(any.value.data);
}

Test(handshake, takes_all_from_bootstrap_params)
{
	Containerd__Runtime__Bootstrap__V1__BootstrapParams params;
	Containerd__Runtime__Bootstrap__V1__Extension extension =
		CONTAINERD__RUNTIME__BOOTSTRAP__V1__EXTENSION__INIT;
	Containerd__Runtime__Bootstrap__V1__Extension *extensions[] = { &extension };
	Google__Protobuf__Any any = options_any("/etc/kata.toml");
	autodestroy(handshake) struct handshake *handshake = NULL;

	setenv("MAX_SHIM_VERSION", "2", 1);
	setenv("TTRPC_ADDRESS", "/run/other", 1);
	params_init(&params);
	params.socket_dir = "/run/sockets";
	params.log_level = -4;
	any.type_url = "type.googleapis.com/" RUNTIME_OPTIONS_TYPE;
	extension.value = &any;
	params.extensions = extensions;
	params.n_extensions = 1;
	handshake = read_message(&params.base);
	cr_assert_not_null(handshake, "%s", err.text);
	cr_assert_eq(handshake->form, HANDSHAKE_PROTOBUF);
	cr_assert_str_eq(handshake->ttrpc_address, "/run/ttrpc");
	cr_assert_str_eq(handshake->socket_dir, "/run/sockets");
	cr_assert_str_eq(handshake->runtime_options.config_path, "/etc/kata.toml");
	cr_assert(handshake->debug);
	free(any.value.data);
}

Test(handshake, believes_bootstrap_params_for_its_own_container_only)
{
	Containerd__Runtime__Bootstrap__V1__BootstrapParams params;
	autodestroy(handshake) struct handshake *handshake = NULL;

	params_init(&params);
	params.log_level = 4;
	handshake = read_message(&params.base);
	cr_assert_eq(handshake->form, HANDSHAKE_PROTOBUF);
	cr_assert_not(handshake->debug);
	cr_assert_null(handshake->socket_dir);
	params.namespace_ = "other";
	cr_assert_null(read_message(&params.base)); /* as options they are of no known type */
	params_init(&params);
	params.instance_id = "other";
	cr_assert_null(read_message(&params.base));
}

Test(handshake, answers_in_each_form)
{
	static const uint8_t protobuf[] = "\x08\x03\x12\x1c" URI "\x1a\x05ttrpc";
	ProtobufCBinaryData bytes = handshake_answer(HANDSHAKE_ADDRESS, URI);
	json_t *json;

	cr_assert_eq(bytes.len, strlen(URI));
	cr_assert_arr_eq(bytes.data, URI, bytes.len);
	free(bytes.data);
	bytes = handshake_answer(HANDSHAKE_JSON, URI);
	json = json_loadb((const char *)bytes.data, bytes.len, 0, NULL);
	cr_assert_eq(json_integer_value(json_object_get(json, "version")), 2);
	cr_assert_str_eq(json_string_value(json_object_get(json, "address")), URI);
	cr_assert_str_eq(json_string_value(json_object_get(json, "protocol")), "ttrpc");
	json_decref(json);
	free(bytes.data);
	bytes = handshake_answer(HANDSHAKE_PROTOBUF, URI);
	cr_assert_eq(bytes.len, sizeof(protobuf) - 1);
	cr_assert_arr_eq(bytes.data, protobuf, bytes.len);
	free(bytes.data);
}
