#include "hypervisor/qemu/resize.h"

#include <criterion/criterion.h>
#include <ev.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/mem.h"
#include "hypervisor/qemu/qmp.h"

/* Beside a QEMU whose answers each test writes. */

#define LONG_MS 60000

#define CPU(core, there)                                                                           \
	"{\"props\": {\"core-id\": " #core "}, \"vcpus-count\": 1, \"type\": \"cpu\"" there "}"
#define THERE ", \"qom-path\": \"/machine/unattached/device[0]\""

static struct ev_loop *loop;
static struct qmp *qmp;
static struct resize *resize;
static int qemu; /* the other end of QMP */
static int calls;
static struct error seen;

static void on_ready(void *ctx)
{
}

static void on_event(void *ctx, const char *name, const json_t *data)
{
	resize_on_event(resize, name, data);
}

static void on_lost(void *ctx, const struct error *err)
{
	resize_disconnect(resize, err);
}

static const struct qmp_events events = {
	.on_ready = on_ready,
	.on_event = on_event,
	.on_lost = on_lost,
};

static void on_done(void *ctx, const struct error *err)
{
	calls++;
	error_copy(&seen, err);
}

/* QEMU's next command is @expected; its answer, and what else it says, is @says. */
static void exchange(const char *expected, const char *says)
{
	char text[1000];
	ssize_t n;

	ev_run(loop, EVRUN_NOWAIT);
	n = recv(qemu, text, sizeof(text) - 1, MSG_DONTWAIT);
	text[n < 0 ? 0 : n] = '\0';
	cr_assert_str_eq(text, expected);
	cr_assert_eq(write(qemu, says, strlen(says)), (ssize_t)strlen(says));
	ev_run(loop, EVRUN_NOWAIT);
}

static void create(void)
{
	int ends[2];

	loop = ev_loop_new(0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	qemu = ends[1];
	resize = resize_create(loop);
	qmp = qmp_create(loop, ends[0], LONG_MS, &events, NULL);
	resize_connect(resize, qmp);
	exchange("{\"execute\":\"qmp_capabilities\",\"id\":1}\n", "{\"return\": {}, \"id\": 1}\n");
}

static void destroy(void)
{
	qmp_destroy(qmp);
	resize_destroy(resize);
	ev_loop_destroy(loop);
	close(qemu);
}

TestSuite(resize, .init = create, .fini = destroy);

static void ask_for_memory(int timeout_ms)
{
	cr_assert_eq(resize_memory(resize, "m", 4, timeout_ms, on_done, NULL, NULL), 0);
	exchange("{\"execute\":\"qom-set\",\"arguments\":{\"path\":\"/machine/peripheral/m\","
	         "\"property\":\"requested-size\",\"value\":4194304},\"id\":2}\n",
	         "{\"return\": {}, \"id\": 2}\n");
	exchange("{\"execute\":\"qom-get\",\"arguments\":{\"path\":\"/machine/peripheral/m\","
	         "\"property\":\"size\"},\"id\":3}\n",
	         "{\"return\": 0, \"id\": 3}\n");
	cr_assert_eq(calls, 0);
}

static void qemu_says(const char *text)
{
	exchange("", text);
}

static void ask_for_vcpus(unsigned int count, const char *places)
{
	autofree char *answer = mem_printf("{\"return\": %s, \"id\": 2}\n", places);

	cr_assert_eq(resize_vcpus(resize, count, LONG_MS, on_done, NULL, NULL), 0);
	exchange("{\"execute\":\"query-hotpluggable-cpus\",\"id\":2}\n", answer);
}

Test(resize, memory_is_there_when_the_guest_has_taken_all_of_it)
{
	ask_for_memory(LONG_MS);
	qemu_says("{\"event\": \"MEMORY_DEVICE_SIZE_CHANGE\", \"data\": {\"id\": \"m\", "
	          "\"size\": 2097152}}\n");
	qemu_says("{\"event\": \"MEMORY_DEVICE_SIZE_CHANGE\", \"data\": {\"id\": \"other\", "
	          "\"size\": 4194304}}\n");
	qemu_says("{\"event\": \"MEMORY_DEVICE_SIZE_CHANGE\"}\n");
	cr_assert_eq(calls, 0);
	qemu_says("{\"event\": \"MEMORY_DEVICE_SIZE_CHANGE\", \"data\": {\"id\": \"m\", "
	          "\"size\": 4194304}}\n");
	cr_assert_eq(calls, 1);
	cr_assert_eq(seen.code, ERROR_NONE, "%s", seen.text);
}

Test(resize, a_guest_that_takes_no_memory_is_an_error_in_time)
{
	ask_for_memory(1000);
	qemu_says("{\"event\": \"MEMORY_DEVICE_SIZE_CHANGE\", \"data\": {\"id\": \"m\", "
	          "\"size\": 2097152}}\n");
	while (!calls)
		ev_run(loop, EVRUN_ONCE);
	cr_assert_eq(seen.code, ERROR_DEADLINE_EXCEEDED);
	cr_assert_str_eq(seen.text, "the guest has 2 instead of 4 MiB to plug after 1000 ms");
}

Test(resize, vcpus_are_plugged_one_after_the_other)
{
	ask_for_vcpus(3, "[" CPU(3, "") ", " CPU(2, "") ", " CPU(1, "") ", " CPU(0, THERE) "]");
	exchange("{\"execute\":\"device_add\",\"arguments\":{\"id\":\"vcpu1\",\"driver\":\"cpu\","
	         "\"core-id\":1},\"id\":3}\n",
	         "{\"return\": {}, \"id\": 3}\n");
	exchange("{\"execute\":\"device_add\",\"arguments\":{\"id\":\"vcpu2\",\"driver\":\"cpu\","
	         "\"core-id\":2},\"id\":4}\n",
	         "{\"return\": {}, \"id\": 4}\n");
	cr_assert_eq(calls, 1);
	cr_assert_eq(seen.code, ERROR_NONE, "%s", seen.text);
}

#define PLUGGED(id) ", \"qom-path\": \"/machine/peripheral/" id "\""
#define THREE       "[" CPU(2, PLUGGED("vcpu2")) ", " CPU(1, PLUGGED("vcpu1")) ", " CPU(0, THERE) "]"

static void expect_asked_for(const char *id, int number)
{
	autofree char *command = mem_printf("{\"execute\":\"device_del\",\"arguments\":{\"id\":"
	                                    "\"%s\"},\"id\":%d}\n",
	                                    id, number);
	autofree char *reply = mem_printf("{\"return\": {}, \"id\": %d}\n", number);

	exchange(command, reply);
}

static void ask_to_shrink(unsigned int count, int timeout_ms)
{
	cr_assert_eq(resize_vcpus(resize, count, timeout_ms, on_done, NULL, NULL), 0);
	exchange("{\"execute\":\"query-hotpluggable-cpus\",\"id\":2}\n",
	         "{\"return\": " THREE ", \"id\": 2}\n");
	expect_asked_for("vcpu2", 3);
}

static const char *const deleted = "{\"event\": \"DEVICE_DELETED\", \"data\": {\"path\": "
				   "\"/machine/peripheral/vcpu2/lapic\"}}\n";

#define VERDICT(status)                                                                            \
	"{\"event\": \"ACPI_DEVICE_OST\", \"data\": {\"info\": {\"device\": \"vcpu2\", "           \
	"\"slot-type\": \"CPU\", \"source\": 3, \"status\": " #status "}}}\n"

Test(resize, vcpus_go_when_the_guest_has_let_go_of_them_the_last_first)
{
	ask_to_shrink(1, LONG_MS);
	qemu_says(VERDICT(132));
	qemu_says("{\"event\": \"DEVICE_DELETED\", \"data\": {\"path\": "
	          "\"/machine/peripheral/vcpu22\"}}\n");
	cr_assert_eq(calls, 0);
	qemu_says(deleted);
	cr_assert_eq(resize_vcpus_there(resize), 2);
	exchange("{\"execute\":\"query-hotpluggable-cpus\",\"id\":4}\n",
	         "{\"return\": [" CPU(1, PLUGGED("vcpu1")) ", " CPU(0, THERE) "], \"id\": 4}\n");
	expect_asked_for("vcpu1", 5);
	cr_assert_eq(calls, 0);
	qemu_says("{\"event\": \"DEVICE_DELETED\", \"data\": {\"device\": \"vcpu1\", \"path\": "
	          "\"/machine/peripheral/vcpu1\"}}\n");
	exchange("{\"execute\":\"query-hotpluggable-cpus\",\"id\":6}\n",
	         "{\"return\": [" CPU(0, THERE) "], \"id\": 6}\n");
	cr_assert_eq(calls, 1);
	cr_assert_eq(seen.code, ERROR_NONE, "%s", seen.text);
}

Test(resize, a_guest_that_keeps_a_vcpu_says_why)
{
	ask_to_shrink(2, LONG_MS);
	qemu_says(VERDICT(129));
	cr_assert_eq(calls, 1);
	cr_assert_str_eq(seen.text, "the guest keeps \"vcpu2\": ACPI status 0x81");
	cr_assert_eq(resize_vcpus_there(resize), 3);
}

Test(resize, a_guest_that_ejects_no_vcpu_is_an_error_in_time_and_may_do_it_later)
{
	ask_to_shrink(2, 300);
	while (!calls)
		ev_run(loop, EVRUN_ONCE);
	cr_assert_str_eq(seen.text, "the guest has 3 instead of 2 vCPUs after 300 ms");
	calls = 0;
	cr_assert_eq(resize_vcpus(resize, 3, LONG_MS, on_done, NULL, NULL), 0);
	qemu_says(deleted); /* who wants three is not told that there are three */
	cr_assert_eq(calls, 0);
	exchange("{\"execute\":\"query-hotpluggable-cpus\",\"id\":4}\n",
	         "{\"return\": [" CPU(2, "") ", " CPU(1, PLUGGED("vcpu1")) ", " CPU(
			 0, THERE) "], "
	                           "\"id\": 4}\n");
	exchange("{\"execute\":\"device_add\",\"arguments\":{\"id\":\"vcpu2\",\"driver\":\"cpu\","
	         "\"core-id\":2},\"id\":5}\n",
	         "{\"return\": {}, \"id\": 5}\n");
	cr_assert_eq(calls, 1);
	cr_assert_eq(seen.code, ERROR_NONE, "%s", seen.text);
}

Test(resize, vcpus_of_the_start_stay)
{
	ask_for_vcpus(1, "[" CPU(1, THERE) ", " CPU(0, THERE) "]");
	cr_assert_eq(calls, 1);
	cr_assert_str_eq(seen.text, "the machine has begun with 2 vCPUs, which stay");
}

static void give_memory(void)
{
	ask_for_memory(LONG_MS);
	qemu_says("{\"event\": \"MEMORY_DEVICE_SIZE_CHANGE\", \"data\": {\"id\": \"m\", "
	          "\"size\": 4194304}}\n");
	cr_assert_eq(calls, 1);
	cr_assert_eq(resize_memory_given(resize), 4194304);
	calls = 0;
}

static void ask_for_memory_back(int mib, const char *size, int id)
{
	autofree char *set = mem_printf("{\"execute\":\"qom-set\",\"arguments\":{\"path\":"
	                                "\"/machine/peripheral/m\",\"property\":"
	                                "\"requested-size\",\"value\":%d},\"id\":%d}\n",
	                                mib << 20, id);
	autofree char *get = mem_printf("{\"execute\":\"qom-get\",\"arguments\":{\"path\":"
	                                "\"/machine/peripheral/m\",\"property\":\"size\"},"
	                                "\"id\":%d}\n",
	                                id + 1);
	autofree char *done = mem_printf("{\"return\": {}, \"id\": %d}\n", id);
	autofree char *answer = mem_printf("{\"return\": %s, \"id\": %d}\n", size, id + 1);

	cr_assert_eq(resize_memory(resize, "m", (uint64_t)mib, LONG_MS, on_done, NULL, NULL), 0);
	exchange(set, done);
	exchange(get, answer);
}

Test(resize, memory_is_given_back_at_the_guests_pace)
{
	give_memory();
	ask_for_memory_back(2, "4194304", 4);
	cr_assert_eq(calls, 0);
	qemu_says("{\"event\": \"MEMORY_DEVICE_SIZE_CHANGE\", \"data\": {\"id\": \"m\", "
	          "\"size\": 2097152}}\n");
	cr_assert_eq(calls, 1);
	cr_assert_eq(seen.code, ERROR_NONE, "%s", seen.text);
}

Test(resize, a_guest_that_still_gives_back_has_enough_for_who_wants_more)
{
	give_memory();
	ask_for_memory_back(0, "4194304", 4);
	resize_hurry(resize);
	while (!calls)
		ev_run(loop, EVRUN_ONCE);
	cr_assert_eq(seen.code, ERROR_DEADLINE_EXCEEDED);
	ask_for_memory_back(2, "4194304", 6);
	cr_assert_eq(calls, 2);
	cr_assert_eq(seen.code, ERROR_NONE, "%s", seen.text);
}

Test(resize, vcpus_that_are_there_need_no_place)
{
	ask_for_vcpus(1, "[" CPU(0, THERE) "]");
	cr_assert_eq(calls, 1);
	cr_assert_eq(seen.code, ERROR_NONE, "%s", seen.text);
}

Test(resize, nonsense_about_places_is_an_error)
{
	static const char *const nonsense[] = { "{}", "[1, 2]", "[{}]", "\"x\"", "[[]]" };

	for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
		ask_for_vcpus(8, nonsense[i]);
		for (int id = 3; !calls; id++) {
			autofree char *refusal =
				mem_printf("{\"error\": {\"desc\": \"no\"}, \"id\": %d}\n", id);

			cr_assert_eq(write(qemu, refusal, strlen(refusal)),
			             (ssize_t)strlen(refusal));
			ev_run(loop, EVRUN_NOWAIT);
		}
		cr_assert_neq(seen.code, ERROR_NONE);
		calls = 0;
		destroy();
		create();
	}
}

Test(resize, the_end_of_qemu_ends_what_waits)
{
	ask_for_memory(LONG_MS);
	cr_assert_eq(resize_vcpus(resize, 2, LONG_MS, on_done, NULL, NULL), 0);
	exchange("{\"execute\":\"query-hotpluggable-cpus\",\"id\":4}\n",
	         "{\"return\": " THREE ", \"id\": 4}\n");
	expect_asked_for("vcpu2", 5);
	shutdown(qemu, SHUT_RDWR);
	while (calls < 2)
		ev_run(loop, EVRUN_ONCE);
	cr_assert_eq(seen.code, ERROR_UNAVAILABLE, "%s", seen.text);
	cr_assert_lt(resize_vcpus(resize, 2, LONG_MS, on_done, NULL, &seen), 0);
	cr_assert_str_eq(seen.text, "QEMU has gone");
}

Test(resize, destroyed_while_changes_are_under_way_calls_nothing)
{
	ask_for_memory(LONG_MS);
	qmp_destroy(take_ptr(&qmp));
	resize_destroy(take_ptr(&resize));
	ev_run(loop, EVRUN_NOWAIT);
	cr_assert_eq(calls, 0);
}
