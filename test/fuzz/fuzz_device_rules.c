/*
 * Device rules: the compiled program decides as a plain reading of the rules does. The input is a
 * script of rules and then of accesses.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cgroup/device_rules.h"
#include "common/error.h"
#include "common/mem.h"
#include "test/fuzz/fuzz.h"
#include "test/unit/agent/device_program.h"

#define RULES_MAX (DEVICE_RULES_MAX + 1)
#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))

struct rules {
	Grpc__LinuxResources resources;
	Grpc__LinuxDeviceCgroup *pointers[RULES_MAX];
	Grpc__LinuxDeviceCgroup messages[RULES_MAX];
};

static int64_t number(struct script *script)
{
	uint8_t kind = script_byte(script);

	return kind == 255 ? (int32_t)script_number(script) : (int8_t)kind;
}

static void read_rules(struct script *script, struct rules *rules)
{
	static const char *const types[] = { "c", "b", "a", "", "u" };
	static const char *const accesses[] = { "r", "w", "m", "rw", "rwm", "rm", "", "x" };
	size_t n = script_byte(script);

	grpc__linux_resources__init(&rules->resources);
	rules->resources.devices = rules->pointers;
	rules->resources.n_devices = n < RULES_MAX ? n : RULES_MAX;
	for (size_t i = 0; i < rules->resources.n_devices; i++) {
		Grpc__LinuxDeviceCgroup *rule = &rules->messages[i];
		uint8_t what = script_byte(script);

		grpc__linux_device_cgroup__init(rule);
		rule->allow = what & 1;
		rule->type = (char *)types[what / 2 % COUNT(types)];
		rule->access = (char *)accesses[what / 16 % COUNT(accesses)];
		rule->major = number(script);
		rule->minor = number(script);
		rules->pointers[i] = rule;
	}
}

/* A number of a rule, as its header says: an absent one is 0, and what is denied is any then. */
static bool is_number(const Grpc__LinuxDeviceCgroup *rule, int64_t of_rule, uint32_t actual)
{
	return of_rule == -1 || (of_rule == 0 && !rule->allow) || of_rule == actual;
}

static bool speaks_of(const Grpc__LinuxDeviceCgroup *rule, int type, char access,
                      const struct bpf_cgroup_dev_ctx *ctx)
{
	bool any = !*rule->type || *rule->type == 'a';

	if (!strchr(rule->access, access))
		return false;
	if (any)
		return true;
	return (*rule->type == 'b') == (type == BPF_DEVCG_DEV_BLOCK) &&
	       is_number(rule, rule->major, ctx->major) && is_number(rule, rule->minor, ctx->minor);
}

/* What runc allows every container, and here comes last. */
static bool is_default(int type, char access, const struct bpf_cgroup_dev_ctx *ctx)
{
	static const struct {
		uint32_t major, minor;
	} devices[] = { { 1, 3 }, { 1, 5 }, { 1, 7 }, { 1, 8 },
		        { 1, 9 }, { 5, 0 }, { 5, 2 }, { 10, 200 } };

	if (access == 'm')
		return true;
	if (type != BPF_DEVCG_DEV_CHAR)
		return false;
	for (size_t i = 0; i < COUNT(devices); i++)
		if (ctx->major == devices[i].major && ctx->minor == devices[i].minor)
			return true;
	return ctx->major == 136;
}

static bool allows(const struct rules *rules, int type, char access,
                   const struct bpf_cgroup_dev_ctx *ctx)
{
	if (is_default(type, access, ctx))
		return true;
	for (size_t i = rules->resources.n_devices; i > 0; i--)
		if (speaks_of(&rules->messages[i - 1], type, access, ctx))
			return rules->messages[i - 1].allow;
	return false;
}

static void check_access(struct script *script, const struct rules *rules,
                         const struct bpf_program *program)
{
	static const struct {
		char letter;
		int bit;
	} accesses[] = { { 'm', BPF_DEVCG_ACC_MKNOD },
		         { 'r', BPF_DEVCG_ACC_READ },
		         { 'w', BPF_DEVCG_ACC_WRITE } };
	uint8_t what = script_byte(script);
	int type = what & 1 ? BPF_DEVCG_DEV_CHAR : BPF_DEVCG_DEV_BLOCK;
	int access = 1 + what / 2 % 7; /* one at least */
	const struct bpf_cgroup_dev_ctx ctx = {
		.access_type = access << 16 | type,
		.major = script_byte(script),
		.minor = script_byte(script),
	};
	bool allowed = true;

	for (size_t i = 0; i < COUNT(accesses); i++)
		if (access & accesses[i].bit)
			allowed &= allows(rules, type, accesses[i].letter, &ctx);
	assert(device_program_run(program, &ctx) == allowed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script script = { data, size };
	autofree struct rules *rules = mem_new(struct rules);
	autodestroy(bpf_program) struct bpf_program *program = NULL;
	struct error err = { 0 };

	read_rules(&script, rules);
	if (device_rules_compile(&rules->resources, &program, &err) < 0) {
		assert(err.code == ERROR_INVALID_ARGUMENT);
		return 0;
	}
	do
		check_access(&script, rules, program);
	while (script.left);
	return 0;
}
