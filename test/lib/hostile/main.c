#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hostile.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} attacks[] = {
	{ "scan", attack_scan },     { "cids", attack_cids },       { "connects", attack_connects },
	{ "hellos", attack_hellos }, { "hold", attack_hold },       { "console", attack_console },
	{ "serial", attack_serial }, { "acpi", attack_acpi },       { "sysrq", attack_sysrq },
	{ "share", attack_share },   { "handles", attack_handles }, { "races", attack_races },
};

int attack_run(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; argc > 0 && i < sizeof(attacks) / sizeof(attacks[0]); i++)
		if (!strcmp(argv[0], attacks[i].name))
			return attacks[i].run(argc - 1, argv + 1);
	puts("no such attack");
	return 127;
}

int main(int argc, char **argv)
{
	return getpid() == 1 && argc == 1 ? agent_run() : attack_run(argc - 1, argv + 1);
}
