#include "agent/cgroup/device_rules.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "common/bpf.h"
#include "common/cleanup.h"
#include "common/error.h"
#include "common/mem.h"

#define ANY          (-1)  /* type, major or minor */
#define MAJOR_MAX    0xfff /* 12 and 20 bits: linux/kdev_t.h */
#define MINOR_MAX    0xfffff
#define ACCESS_MKNOD BPF_DEVCG_ACC_MKNOD
#define ACCESS_ALL   (BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE)

struct rule {
	bool allow;
	int type; /* BPF_DEVCG_DEV_* */
	int major;
	int minor;
	int access; /* BPF_DEVCG_ACC_* */
};

/* What every container may do, whatever its spec says: runc's list, from which images expect it. */
static const struct rule default_rules[] = {
	{ true, BPF_DEVCG_DEV_CHAR, ANY, ANY, ACCESS_MKNOD },
	{ true, BPF_DEVCG_DEV_BLOCK, ANY, ANY, ACCESS_MKNOD },
	{ true, BPF_DEVCG_DEV_CHAR, 1, 3, ACCESS_ALL },     /* /dev/null */
	{ true, BPF_DEVCG_DEV_CHAR, 1, 8, ACCESS_ALL },     /* /dev/random */
	{ true, BPF_DEVCG_DEV_CHAR, 1, 7, ACCESS_ALL },     /* /dev/full */
	{ true, BPF_DEVCG_DEV_CHAR, 5, 0, ACCESS_ALL },     /* /dev/tty */
	{ true, BPF_DEVCG_DEV_CHAR, 1, 5, ACCESS_ALL },     /* /dev/zero */
	{ true, BPF_DEVCG_DEV_CHAR, 1, 9, ACCESS_ALL },     /* /dev/urandom */
	{ true, BPF_DEVCG_DEV_CHAR, 136, ANY, ACCESS_ALL }, /* /dev/pts */
	{ true, BPF_DEVCG_DEV_CHAR, 5, 2, ACCESS_ALL },     /* /dev/ptmx */
	{ true, BPF_DEVCG_DEV_CHAR, 10, 200, ACCESS_ALL },  /* /dev/net/tun */
};
#define DEFAULT_RULES (sizeof(default_rules) / sizeof(default_rules[0]))

static int parse_type(const char *text, int *out)
{
	static const char names[] = "abc";
	static const int types[] = { ANY, BPF_DEVCG_DEV_BLOCK, BPF_DEVCG_DEV_CHAR };
	const char *at = strchr(names, *text ? *text : 'a');

	if (!at || (*text && text[1]))
		return -1;
	*out = types[at - names];
	return 0;
}

static int parse_access(const char *text, int *out)
{
	*out = 0;
	for (; *text; text++) {
		if (*text == 'r')
			*out |= BPF_DEVCG_ACC_READ;
		else if (*text == 'w')
			*out |= BPF_DEVCG_ACC_WRITE;
		else if (*text == 'm')
			*out |= BPF_DEVCG_ACC_MKNOD;
		else
			return -1;
	}
	return *out ? 0 : -1;
}

static int parse_number(int64_t number, int64_t max, bool allow, int *out)
{
	if (number < ANY || number > max)
		return -1;
	*out = number == 0 && !allow ? ANY : (int)number;
	return 0;
}

static int parse_rule(const Grpc__LinuxDeviceCgroup *device, size_t i, struct rule *rule,
                      struct error *err)
{
	rule->allow = device->allow;
	if (parse_type(device->type, &rule->type) < 0)
		return error_set(
			err, ERROR_INVALID_ARGUMENT,
			"invalid linux.resources.devices[%zu].type \"%s\": expected a, b or c", i,
			device->type);
	if (parse_access(device->access, &rule->access) < 0)
		return error_set(
			err, ERROR_INVALID_ARGUMENT,
			"invalid linux.resources.devices[%zu].access \"%s\": expected r, w or m", i,
			device->access);
	if (parse_number(device->major, MAJOR_MAX, rule->allow, &rule->major) < 0 ||
	    parse_number(device->minor, MINOR_MAX, rule->allow, &rule->minor) < 0)
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "invalid linux.resources.devices[%zu]: device number out of range",
		                 i);
	if (rule->type == ANY) {
		rule->major = ANY;
		rule->minor = ANY;
	}
	return 0;
}

static int parse_rules(const Grpc__LinuxResources *resources, struct rule *rules, size_t *count,
                       struct error *err)
{
	size_t n = resources ? resources->n_devices : 0;

	if (n > DEVICE_RULES_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "linux.resources.devices: more than %d rules", DEVICE_RULES_MAX);
	for (size_t i = 0; i < n; i++) {
		int r = parse_rule(resources->devices[i], i, &rules[i], err);

		if (r < 0)
			return r;
	}
	*count = n;
	return 0;
}

int device_rules_check(const Grpc__LinuxResources *resources, struct error *err)
{
	struct rule rules[DEVICE_RULES_MAX];
	size_t n;

	return parse_rules(resources, rules, &n, err);
}

/* Registers: r2 the device's type, r3 the accesses that are still undecided, r4 major, r5 minor. */
static void emit_prologue(struct bpf_program *program)
{
	bpf_emit_load(program, BPF_REG_2, offsetof(struct bpf_cgroup_dev_ctx, access_type));
	bpf_emit_copy(program, BPF_REG_3, BPF_REG_2);
	bpf_emit(program, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_2, 0, 0, 0xffff);
	bpf_emit(program, BPF_ALU64 | BPF_RSH | BPF_K, BPF_REG_3, 0, 0, 16);
	bpf_emit_load(program, BPF_REG_4, offsetof(struct bpf_cgroup_dev_ctx, major));
	bpf_emit_load(program, BPF_REG_5, offsetof(struct bpf_cgroup_dev_ctx, minor));
}

/* Leaves the rule unless @reg is @value. */
static void emit_unless(struct bpf_program *program, int reg, int value)
{
	if (value != ANY)
		bpf_emit(program, BPF_JMP | BPF_JNE | BPF_K, reg, 0, BPF_OPEN, value);
}

static void emit_rule(struct bpf_program *program, const struct rule *rule)
{
	size_t start = program->n;

	emit_unless(program, BPF_REG_2, rule->type);
	emit_unless(program, BPF_REG_4, rule->major);
	emit_unless(program, BPF_REG_5, rule->minor);
	if (rule->allow) { /* these are decided; allowed when nothing is left to decide */
		bpf_emit(program, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_3, 0, 0, ~rule->access);
		bpf_emit(program, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_3, 0, BPF_OPEN, 0);
	} else { /* no jump on "no bit in common" exists: compute it */
		bpf_emit_copy(program, BPF_REG_0, BPF_REG_3);
		bpf_emit(program, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_0, 0, 0, rule->access);
		bpf_emit(program, BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, BPF_OPEN, 0);
	}
	bpf_emit_answer(program, rule->allow);
	bpf_land_all(program, start);
}

int device_rules_compile(const Grpc__LinuxResources *resources, struct bpf_program **out,
                         struct error *err)
{
	struct rule rules[DEVICE_RULES_MAX + DEFAULT_RULES];
	struct bpf_program *program;
	size_t n = 0;
	int r;

	r = parse_rules(resources, rules, &n, err);
	if (r < 0)
		return r;
	memcpy(rules + n, default_rules, sizeof(default_rules));
	n += DEFAULT_RULES;

	program = bpf_program_create();
	emit_prologue(program);
	while (n > 0) /* the last one that speaks of an access decides it */
		emit_rule(program, &rules[--n]);
	bpf_emit_answer(program, 0);
	*out = program;
	return 0;
}

struct device_program {
	struct bpf_program *code; /* NULL: none has been loaded */
	int fd;
};

struct device_program *device_program_create(void)
{
	struct device_program *program = mem_new(struct device_program);

	program->fd = -1;
	return program;
}

void device_program_destroy(struct device_program *program)
{
	if (!program)
		return;
	cleanup_close(&program->fd);
	bpf_program_destroy(program->code);
	free(program);
}

static bool is_loaded(const struct device_program *program, const struct bpf_program *code)
{
	return program->code && program->code->n == code->n &&
	       !memcmp(program->code->insns, code->insns, code->n * sizeof(*code->insns));
}

/* Takes @code over. */
static int load_new(struct device_program *program, struct bpf_program **code, struct error *err)
{
	int fd = bpf_load(BPF_PROG_TYPE_CGROUP_DEVICE, BPF_CGROUP_DEVICE, *code, "the device rules",
	                  err);

	if (fd < 0)
		return fd;
	cleanup_close(&program->fd);
	bpf_program_destroy(program->code);
	program->fd = fd;
	program->code = take_ptr(code);
	return 0;
}

int device_rules_attach(int cgroup_fd, const Grpc__LinuxResources *resources,
                        struct device_program *last, struct error *err)
{
	autodestroy(bpf_program) struct bpf_program *code = NULL;
	int r;

	r = device_rules_compile(resources, &code, err);
	if (r == 0 && !is_loaded(last, code))
		r = load_new(last, &code, err);
	if (r < 0)
		return r;
	union bpf_attr attr = {
		.target_fd = cgroup_fd,
		.attach_bpf_fd = last->fd,
		.attach_type = BPF_CGROUP_DEVICE,
		.attach_flags = BPF_F_ALLOW_MULTI,
	};
	if (bpf_call(BPF_PROG_ATTACH, &attr) < 0)
		return error_errno(err, "cannot attach the device rules");
	return 0;
}
