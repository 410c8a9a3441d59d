/*
 * /init of a guest whose agent has sanitizers: AddressSanitizer reads /proc/self/maps before
 * main(), so /proc is there when the agent begins. (sanitized_agent.c takes it away again: the
 * agent mounts its own.)
 */
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (mount("proc", "/proc", "proc", 0, NULL) == 0)
		execv("/kata-agent", argv);
	perror("/kata-agent");
	return 1;
}
