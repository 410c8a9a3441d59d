/*
 * PID 1 of a guest that says on its console what devices it has, a line each time that changes:
 *   guest: disks=[vda:<serial>:<its first 8 bytes> ...] cards=[eth0:<mac>:<path> ...] cpus=2 memory=480
 *   share=<the file "word" of the share> second=<that of the share with this tag>
 * (in one line). The path of a card is the slot of its root port and its own behind that.
 * It loads its modules in their order, brings network cards and processors up, and adds memory as
 * it comes. It is static and knows nothing of the project.
 */
#include <dirent.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOOK_US 50000

static void read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? 0 : read(fd, text, size - 1);

	text[n < 0 ? 0 : n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	if (fd >= 0)
		close(fd);
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0)
		perror(path);
	close(fd);
}

static void load_modules(void)
{
	FILE *order = fopen("/modules/order", "r");
	char name[100], path[120];

	while (order && fscanf(order, "%99s", name) == 1) {
		int fd;

		snprintf(path, sizeof(path), "/modules/%s", name);
		fd = open(path, O_RDONLY);
		if (syscall(SYS_finit_module, fd, "", 0) < 0)
			perror(path);
		close(fd);
	}
}

static void bring_up(const char *card)
{
	struct ifreq request = { .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", card);
	if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		perror(card);
	close(fd);
}

static void list_disk(const char *name, FILE *line)
{
	char path[300], serial[32], content[9];

	snprintf(path, sizeof(path), "/sys/block/%s/serial", name);
	read_text(path, serial, sizeof(serial));
	snprintf(path, sizeof(path), "/dev/%s", name);
	read_text(path, content, sizeof(content));
	fprintf(line, " %s:%s:%s", name, serial, content);
}

/* From a link as ../../devices/pci0000:00/0000:00:03.0/0000:02:00.0/virtio3/net/eth0. */
static void print_path(const char *card, FILE *line)
{
	char path[300], target[300] = "";
	const char *separator = ":";
	unsigned int slot;

	snprintf(path, sizeof(path), "/sys/class/net/%s", card);
	if (readlink(path, target, sizeof(target) - 1) < 0)
		return;
	for (char *part = strtok(target, "/"); part; part = strtok(NULL, "/")) {
		if (sscanf(part, "%*4x:%*2x:%2x.%*1x", &slot) != 1)
			continue;
		fprintf(line, "%s%02x", separator, slot);
		separator = "/";
	}
}

static void list_card(const char *name, FILE *line)
{
	char path[300], mac[32];

	if (strcmp(name, "lo") == 0)
		return;
	bring_up(name);
	snprintf(path, sizeof(path), "/sys/class/net/%s/address", name);
	read_text(path, mac, sizeof(mac));
	fprintf(line, " %s:%s", name, mac);
	print_path(name, line);
}

static void bring_cpu_up(const char *name, FILE *line)
{
	char path[300], online[4];

	if (sscanf(name, "cpu%*u%3s", online) == 1 || strncmp(name, "cpu", 3) != 0)
		return;
	snprintf(path, sizeof(path), "/sys/devices/system/cpu/%s/online", name);
	read_text(path, online, sizeof(online));
	if (*online == '0')
		write_text(path, "1");
}

static void for_each(const char *dir, void (*what)(const char *name, FILE *line), FILE *line)
{
	DIR *entries = opendir(dir);
	struct dirent *entry;

	while (entries && (entry = readdir(entries)))
		if (entry->d_name[0] != '.')
			what(entry->d_name, line);
	if (entries)
		closedir(entries);
}

static long memory_mib(void)
{
	FILE *info = fopen("/proc/meminfo", "r");
	long kib = 0;

	if (info && fscanf(info, "MemTotal: %ld", &kib) != 1)
		kib = 0;
	if (info)
		fclose(info);
	return kib >> 10;
}

static void count_share(const char *name, FILE *line)
{
	if (strncmp(name, "virtio", 6) == 0)
		fputc('.', line);
}

/* Only once it is there: the kernel would complain each time. */
static void list_second_share(FILE *line)
{
	char shares[100] = "", word[32];
	FILE *count = fmemopen(shares, sizeof(shares), "w");

	for_each("/sys/bus/virtio/drivers/virtiofs", count_share, count);
	fclose(count);
	if (strlen(shares) < 2 || mount("second", "/run", "virtiofs", 0, NULL) < 0)
		return;
	read_text("/run/word", word, sizeof(word));
	umount2("/run", 0);
	fprintf(line, " second=%s", word);
}

static void look(char *text, size_t size)
{
	FILE *line = fmemopen(text, size, "w");
	char word[32];

	fprintf(line, "guest: disks=[");
	for_each("/sys/block", list_disk, line);
	fprintf(line, "] cards=[");
	for_each("/sys/class/net", list_card, line);
	for_each("/sys/devices/system/cpu", bring_cpu_up, line);
	read_text("/mnt/word", word, sizeof(word));
	fprintf(line, "] cpus=%ld memory=%ld share=%s", sysconf(_SC_NPROCESSORS_ONLN), memory_mib(),
	        word);
	list_second_share(line);
	fclose(line);
}

int main(void)
{
	char now[2000], before[2000] = "";

	mount("dev", "/dev", "devtmpfs", 0, NULL);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sys", "/sys", "sysfs", 0, NULL);
	load_modules();
	if (mount("kataShared", "/mnt", "virtiofs", 0, NULL) < 0)
		perror("/mnt");
	write_text("/sys/module/memory_hotplug/parameters/online_policy", "auto-movable");
	write_text("/sys/devices/system/memory/auto_online_blocks", "online");
	for (;;) {
		look(now, sizeof(now));
		if (strcmp(now, before) != 0) {
			dprintf(STDOUT_FILENO, "%s\n", now);
			memcpy(before, now, sizeof(before));
		}
		usleep(LOOK_US);
	}
}
