#include "fake_parts.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/mem.h"
#include "fake_stdio.h"
#include "proto/agent.pb-c.h"
#include "proto/ttrpc/ttrpc_server.h"

struct waiting {
	LIST_ENTRY(waiting) link;
	char *exec_id;
	struct ttrpc_call *call;
};
static LIST_HEAD(waiting_list, waiting) waiting;

static void answer_wait(struct ttrpc_call *call, int status)
{
	Grpc__WaitProcessResponse response = GRPC__WAIT_PROCESS_RESPONSE__INIT;
	Grpc__Written written = { PROTOBUF_C_MESSAGE_INIT(&grpc__written__descriptor),
		                  fake.written };

	response.status = status;
	response.oom = fake.oom_at_exit;
	if (fake.tells_written)
		response.written_out = &written;
	ttrpc_call_reply(call, &response.base);
}

static struct waiting *find_waiting(const char *exec_id)
{
	struct waiting *one;

	LIST_FOREACH (one, &waiting, link)
		if (strcmp(one->exec_id, exec_id) == 0)
			return one;
	return NULL;
}

static void end_process(struct waiting *one, int status)
{
	LIST_REMOVE(one, link);
	answer_wait(one->call, status);
	free(one->exec_id);
	free(one);
}

void fake_exit(const char *exec_id, int status)
{
	struct waiting *one = find_waiting(exec_id);

	must(one);
	end_process(one, status);
}

bool fake_exit_any(int status)
{
	struct waiting *one = LIST_FIRST(&waiting);

	if (one)
		end_process(one, status);
	return one;
}

void fake_await(struct ttrpc_call *call, const char *exec_id)
{
	struct waiting *one;

	if (fake.upstream && fake_process(exec_id)->ended) {
		fake_note("WaitProcess", exec_id);
		answer_wait(call, fake_process(exec_id)->status);
		return;
	}
	one = mem_new(struct waiting);
	must(ttrpc_call_park(call, NULL, NULL, NULL) == 0);
	one->exec_id = mem_strdup(exec_id);
	one->call = call;
	LIST_INSERT_HEAD(&waiting, one, link);
}

bool fake_is_awaited(const char *exec_id)
{
	return find_waiting(exec_id);
}

void fake_forget_awaited(void)
{
	struct waiting *one;

	while ((one = LIST_FIRST(&waiting))) {
		LIST_REMOVE(one, link);
		ttrpc_call_finish(one->call, NULL);
		free(one->exec_id);
		free(one);
	}
}
