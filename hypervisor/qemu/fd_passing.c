#include "hypervisor/qemu/fd_passing.h"

#include <jansson.h>
#include <stdio.h>

#include "common/cleanup.h"
#include "common/mem.h"
#include "common/monotonic.h"
#include "hypervisor/qemu/device.h"
#include "hypervisor/qemu/qmp.h"
#include "hypervisor/vm_device.h"

static enum device_passing way_of(const struct fd_passing *passing)
{
	return device_kind(passing->device)->passing;
}

static int command(struct fd_passing *passing, const char *name, json_t *args, int fd,
                   qmp_done_fn *done, struct error *err)
{
	int64_t left_ms = passing->deadline - monotonic_ms();

	return qmp_execute_with_fd(passing->qmp, name, args, fd, left_ms > 1 ? (int)left_ms : 1,
	                           done, passing, err);
}

static json_t *name_argument(const struct fd_passing *passing, size_t i)
{
	autofree char *name = mem_printf("%s%zu", passing->name, i);

	return json_pack("{s:s}", "fdname", name);
}

static json_t *set_argument(const struct fd_passing *passing)
{
	return json_pack("{s:i}", "fdset-id", passing->set);
}

static int close_next(struct fd_passing *passing, struct error *err);

static void end(struct fd_passing *passing)
{
	passing->done(passing->ctx, passing->cause.code ? &passing->cause : NULL);
}

/* A backend takes a descriptor that has a name: there is nothing to close then. */
static void on_name_closed(void *ctx, const json_t *result, const struct error *err)
{
	struct fd_passing *passing = ctx;
	bool silent = err && err->code == ERROR_DEADLINE_EXCEEDED;

	if (silent && !passing->cause.code)
		error_copy(&passing->cause, err);
	if (silent || passing->n == 0 || close_next(passing, NULL) < 0)
		end(passing);
}

static int close_next(struct fd_passing *passing, struct error *err)
{
	return command(passing, "closefd", name_argument(passing, --passing->n), -1, on_name_closed,
	               err);
}

/* What QEMU has by then it gives back. */
static void fail(struct fd_passing *passing, const struct error *err)
{
	error_copy(&passing->cause, err);
	if (passing->n == 0 || err->code == ERROR_DEADLINE_EXCEEDED ||
	    close_next(passing, NULL) < 0)
		end(passing);
}

static void on_passed(void *ctx, const json_t *result, const struct error *err);

static int pass_next(struct fd_passing *passing, struct error *err)
{
	bool by_name = way_of(passing) == DEVICE_BY_NAME;

	return command(passing, by_name ? "getfd" : "add-fd",
	               by_name ? name_argument(passing, passing->n) : set_argument(passing),
	               vm_device_fd(passing->device, passing->n), on_passed, err);
}

static void on_passed(void *ctx, const json_t *result, const struct error *err)
{
	struct fd_passing *passing = ctx;
	json_int_t number = json_integer_value(json_object_get(result, "fd"));
	struct error cause;

	if (err) {
		fail(passing, err);
		return;
	}
	if (way_of(passing) == DEVICE_BY_NUMBER)
		snprintf(passing->name, sizeof(passing->name), "/proc/self/fd/%d", (int)number);
	if (++passing->n == vm_device_count_fds(passing->device))
		end(passing);
	else if (pass_next(passing, &cause) < 0)
		fail(passing, &cause);
}

int fd_passing_start(struct fd_passing *passing, struct qmp *qmp, const struct vm_device *device,
                     int set, int64_t deadline, done_fn *done, void *ctx, struct error *err)
{
	*passing = (struct fd_passing){
		.qmp = qmp,
		.device = device,
		.set = set,
		.deadline = deadline,
		.done = done,
		.ctx = ctx,
	};
	if (way_of(passing) == DEVICE_BY_NAME)
		snprintf(passing->name, sizeof(passing->name), "fd-%s-", device->id);
	else
		snprintf(passing->name, sizeof(passing->name), "/dev/fdset/%d", set);
	return pass_next(passing, err);
}

static void on_set_removed(void *ctx, const json_t *result, const struct error *err)
{
	struct fd_passing *passing = ctx;

	passing->done(passing->ctx, err);
}

int fd_passing_undo(struct fd_passing *passing, struct qmp *qmp, int64_t deadline, done_fn *done,
                    void *ctx, struct error *err)
{
	passing->qmp = qmp;
	passing->deadline = deadline;
	passing->cause = (struct error){ 0 };
	passing->done = done;
	passing->ctx = ctx;
	if (way_of(passing) == DEVICE_BY_NAME)
		return close_next(passing, err);
	return command(passing, "remove-fd", set_argument(passing), -1, on_set_removed, err);
}

char *fd_passing_names(const struct fd_passing *passing)
{
	return way_of(passing) == DEVICE_BY_NAME ? device_fd_names(passing->device, passing->name)
	                                         : mem_strdup(passing->name);
}
