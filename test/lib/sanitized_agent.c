/*
 * What an agent with sanitizers has beside its sources: options, since its children have no
 * environment; reports go to the console, whatever its standard error is; and PID 1 gives back the
 * /proc that sanitized_init.c has mounted.
 */
#include <fcntl.h>
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sys/mount.h>
#include <unistd.h>

#define REPORT_FD 1000 /* above all that a container's process is given */

const char *__ubsan_default_options(void);

const char *__asan_default_options(void)
{
	return "detect_leaks=0:" /* it ends by reboot(2), and never exits */
	       "quarantine_size_mb=16";
}

const char *__ubsan_default_options(void)
{
	return "print_stacktrace=1";
}

__attribute__((constructor)) static void begin(int argc, char **argv)
{
	int console = open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC);

	if (console >= 0 && dup3(console, REPORT_FD, O_CLOEXEC) == REPORT_FD)
		__sanitizer_set_report_fd((void *)REPORT_FD);
	if (console >= 0)
		close(console);
	if (argc == 1)
		umount2("/proc", MNT_DETACH);
}
