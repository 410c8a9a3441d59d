#include "hypervisor/qemu/device.h"

#include <ctype.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "common/arg_list.h"
#include "common/error.h"
#include "common/mem.h"

#define PORT_NAME_MAX 16
#define SECTOR        512

/* A read or write of 1 MiB is one request, of a descriptor a page. */
#define SHARE_QUEUE_SIZE 1024

/* Interrupts of a network card: two for each queue, of what it sends and what it receives, and those
 * of its configuration and its control queue. */
#define NIC_VECTORS(queues) (2 * (queues) + 2)

/* Of the root bus, where slot 0 is the host bridge: a port has a slot of its own, but those beyond the
 * first are functions of one, eight to a slot. */
#define PORTS_ALONE 16
#define FUNCTIONS   8

static json_t *socket_backend(const struct vm_device *device, const char *fd_name)
{
	return json_pack("{s:s, s:{s:s, s:{s:{s:s, s:{s:s}}, s:b}}}", "id", device->id, "backend",
	                 "type", "socket", "data", "addr", "type", "fd", "data", "str", fd_name,
	                 "server", 0);
}

/* The names of the taps, and behind them those of vhost-net. */
static json_t *nic_backend(const struct vm_device *device, const char *fd_names)
{
	const char *end = fd_names;
	json_t *backend;

	for (unsigned int i = 0; i < vm_device_queues(device); i++)
		end += strcspn(end, ":") + 1;
	backend = json_pack("{s:s, s:s, s:s%}", "type", "tap", "id", device->id, "fds", fd_names,
	                    (size_t)(end - fd_names) - 1);
	if (device->vhost) {
		json_object_set_new(backend, "vhost", json_true());
		json_object_set_new(backend, "vhostfds", json_string(end));
	}
	return backend;
}

static json_t *disk_backend(const struct vm_device *device, const char *fd_name)
{
	bool read_only = (fcntl(device->fd, F_GETFL) & O_ACCMODE) == O_RDONLY;
	struct stat st;
	bool is_file = fstat(device->fd, &st) < 0 || S_ISREG(st.st_mode);

	/* Two machines may have one device, as two containers may: then what is on it is made for
	 * that. Of an image that one machine writes QEMU keeps others away. */
	return json_pack("{s:s, s:s, s:s, s:b, s:s, s:s}", "driver",
	                 is_file ? "file" : "host_device", "node-name", device->id, "filename",
	                 fd_name, "read-only", read_only, "discard", "unmap", "locking",
	                 is_file ? "auto" : "off");
}

static json_t *memory_backend(const struct vm_device *device, const char *fd_name)
{
	return json_pack("{s:s, s:s, s:s, s:I, s:b}", "qom-type", "memory-backend-file", "id",
	                 device->id, "mem-path", fd_name, "size",
	                 (json_int_t)device->size_mib << 20, "share", 1);
}

static json_t *share_frontend(const struct vm_device *device)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:i}", "driver", "vhost-user-fs-pci", "id",
	                 device->id, "chardev", device->id, "tag", device->tag, "queue-size",
	                 SHARE_QUEUE_SIZE);
}

static json_t *vsock_frontend(const struct vm_device *device)
{
	return json_pack("{s:s, s:s, s:s}", "driver", "vhost-user-vsock-pci", "id", device->id,
	                 "chardev", device->id);
}

/* Without the card's boot ROM, a file that QEMU may not open while it runs. */
static json_t *nic_frontend(const struct vm_device *device)
{
	const uint8_t *mac = device->mac;
	json_t *frontend;
	char text[18];

	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
	         mac[3], mac[4], mac[5]);
	frontend = json_pack("{s:s, s:s, s:s, s:s, s:s}", "driver", "virtio-net-pci", "id",
	                     device->id, "netdev", device->id, "mac", text, "romfile", "");
	if (vm_device_queues(device) > 1) {
		json_object_set_new(frontend, "mq", json_true());
		json_object_set_new(frontend, "vectors",
		                    json_integer(NIC_VECTORS(vm_device_queues(device))));
	}
	return frontend;
}

/* The guest is to write whole sectors of the device. */
static json_t *disk_frontend(const struct vm_device *device)
{
	json_t *frontend = json_pack("{s:s, s:s, s:s, s:s*}", "driver", "virtio-blk-pci", "id",
	                             device->id, "drive", device->id, "serial", device->serial);
	int logical = 0;
	unsigned int physical = 0;

	if (ioctl(device->fd, BLKSSZGET, &logical) == 0 && logical > SECTOR)
		json_object_set_new(frontend, "logical_block_size", json_integer(logical));
	if (ioctl(device->fd, BLKPBSZGET, &physical) == 0 && physical > SECTOR)
		json_object_set_new(frontend, "physical_block_size", json_integer(physical));
	return frontend;
}

static json_t *memory_frontend(const struct vm_device *device)
{
	return json_pack("{s:s, s:s, s:s, s:I}", "driver", "virtio-mem-pci", "id", device->id,
	                 "memdev", device->id, "requested-size",
	                 (json_int_t)device->requested_mib << 20);
}

/* A kind with what its two halves are made by. QEMU 7.2 takes JSON for each option but -chardev. */
static const struct row {
	struct device_kind kind;
	const char *option;
	json_t *(*backend)(const struct vm_device *device, const char *fd_name);
	json_t *(*frontend)(const struct vm_device *device);
} rows[VM_DEVICE_KINDS] = {
	[VM_DEVICE_SHARE] = { { DEVICE_BY_NAME, "chardev-add", "chardev-remove", "id" },
	                      "-chardev",
	                      socket_backend,
	                      share_frontend },
	[VM_DEVICE_VSOCK] = { { DEVICE_BY_NAME, "chardev-add", "chardev-remove", "id" },
	                      "-chardev",
	                      socket_backend,
	                      vsock_frontend },
	[VM_DEVICE_NIC] = { { DEVICE_BY_NAME, "netdev_add", "netdev_del", "id" },
	                    "-netdev",
	                    nic_backend,
	                    nic_frontend },
	[VM_DEVICE_DISK] = { { DEVICE_BY_SET, "blockdev-add", "blockdev-del", "node-name" },
	                     "-blockdev",
	                     disk_backend,
	                     disk_frontend },
	[VM_DEVICE_MEMORY] = { { DEVICE_BY_NUMBER, "object-add", "object-del", "id" },
	                       "-object",
	                       memory_backend,
	                       memory_frontend },
};

const struct device_kind *device_kind(const struct vm_device *device)
{
	return &rows[device->kind].kind;
}

static bool id_is_valid(const char *id)
{
	size_t len = strlen(id);

	for (size_t i = 0; i < len; i++)
		if (!isalpha((unsigned char)id[i]) &&
		    (i == 0 || (!isdigit((unsigned char)id[i]) && id[i] != '-')))
			return false;
	return len > 0 && len <= VM_DEVICE_ID_MAX;
}

static int check_disk(const struct vm_device *device, struct error *err)
{
	struct stat st;

	if (fstat(device->fd, &st) < 0)
		return error_errno(err, "invalid disk \"%s\"", device->id);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "invalid disk \"%s\": neither a regular file nor a block device",
		                 device->id);
	if (device->serial && strlen(device->serial) > VM_DEVICE_SERIAL_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "invalid serial \"%s\": longer than %d bytes", device->serial,
		                 VM_DEVICE_SERIAL_MAX);
	return 0;
}

int device_check(const struct vm_device *device, struct error *err)
{
	if (!id_is_valid(device->id))
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "invalid device id \"%s\": not a letter and then at most %d "
		                 "letters, digits and '-'",
		                 device->id, VM_DEVICE_ID_MAX - 1);
	if (vm_device_queues(device) > VM_DEVICE_QUEUES_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "invalid network card \"%s\": more than %d queues", device->id,
		                 VM_DEVICE_QUEUES_MAX);
	return device->kind == VM_DEVICE_DISK ? check_disk(device, err) : 0;
}

json_t *device_frontend(const struct vm_device *device, int port)
{
	json_t *frontend = rows[device->kind].frontend(device);
	char bus[PORT_NAME_MAX];

	if (port != DEVICE_NO_PORT) {
		snprintf(bus, sizeof(bus), "port%d", port);
		json_object_set_new(frontend, "bus", json_string(bus));
	}
	return frontend;
}

char *device_fd_names(const struct vm_device *device, const char *prefix)
{
	char *names = NULL;

	for (size_t i = 0; i < vm_device_count_fds(device); i++) {
		const char *before = names ? names : "";
		const char *colon = names ? ":" : "";
		char *longer =
			prefix ? mem_printf("%s%s%s%zu", before, colon, prefix, i)
			       : mem_printf("%s%s%d", before, colon, vm_device_fd(device, i));

		free(names);
		names = longer;
	}
	return names;
}

json_t *device_backend(const struct vm_device *device, const char *fd_names)
{
	return rows[device->kind].backend(device, fd_names);
}

static void add_json(struct arg_list *list, const char *option, json_t *value)
{
	autofree char *text = json_dumps(value, JSON_COMPACT);

	arg_list_add(list, option);
	arg_list_add(list, text);
	json_decref(value);
}

static void add_backend_args(struct arg_list *list, const struct vm_device *device, int port)
{
	const struct row *row = &rows[device->kind];
	autofree char *name = NULL;

	if (row->backend == socket_backend) {
		arg_list_add(list, row->option);
		arg_list_print(list, "socket,id=%s,fd=%d", device->id, device->fd);
		arg_list_end(list);
		return;
	}
	if (row->kind.passing == DEVICE_BY_SET) {
		arg_list_add(list, "-add-fd");
		arg_list_print(list, "fd=%d,set=%d", device->fd, port);
		arg_list_end(list);
		name = mem_printf("/dev/fdset/%d", port);
	} else if (row->kind.passing == DEVICE_BY_NUMBER) {
		name = mem_printf("/proc/self/fd/%d", device->fd);
	} else {
		name = device_fd_names(device, NULL);
	}
	add_json(list, row->option, row->backend(device, name));
}

void device_add_args(struct arg_list *list, const struct vm_device *device, int port)
{
	add_backend_args(list, device, port);
	add_json(list, "-device", device_frontend(device, port));
}

static int slot_of(int port)
{
	return port < PORTS_ALONE ? port + 1 : PORTS_ALONE + 1 + (port - PORTS_ALONE) / FUNCTIONS;
}

static int function_of(int port)
{
	return port < PORTS_ALONE ? 0 : (port - PORTS_ALONE) % FUNCTIONS;
}

void device_add_port_args(struct arg_list *list, int port)
{
	arg_list_add(list, "-device");
	arg_list_print(list, "pcie-root-port,id=port%d,chassis=%d,slot=%d,addr=0x%x", port,
	               port + 1, port + 1, slot_of(port));
	if (port >= PORTS_ALONE)
		arg_list_print(list, ".%x,multifunction=on", function_of(port));
	arg_list_end(list);
}

void device_port_path(int port, char path[VM_DEVICE_PATH_MAX])
{
	if (function_of(port))
		snprintf(path, VM_DEVICE_PATH_MAX, "%02x.%x/00", slot_of(port), function_of(port));
	else
		snprintf(path, VM_DEVICE_PATH_MAX, "%02x/00", slot_of(port));
}
