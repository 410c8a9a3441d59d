/*
 * containerd-shim-kata-v2, as containerd runs it: `start` and `delete`, each a process that ends at
 * once; the process that `start` leaves behind is in serve.c.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "common/text.h"
#include "shim/cli/command_line.h"
#include "shim/cli/delete_command.h"
#include "shim/cli/info.h"
#include "shim/cli/start_command.h"
#include "shim/stdio/copy.h"

static const struct command {
	const char *name;
	bool of_container; /* needs an id and a namespace */
	int (*run)(const struct command_line *line, char **argv, struct error *err);
} commands[] = {
	{ "start", true, start_command },
	{ "delete", true, delete_command },
	{ COPY_COMMAND, false, copy_output },
};

static void print_version(void)
{
	puts("containerd-shim-kata-v2: Kata Containers runtime in C, version " KATA_VERSION);
}

static const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static int run(int argc, char **argv, struct error *err)
{
	const struct command *command;
	struct command_line line;
	int r;

	r = command_line_parse(argc, argv, &line, err);
	if (r < 0)
		return r;
	if (line.version) {
		print_version();
		return 0;
	}
	if (line.info)
		return info_print(err);
	command = command_find(line.command);
	if (!command)
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "invalid command \"%s\": expected start, delete or the option -v",
		                 line.command);
	r = command->of_container ? command_line_check_names(&line, err) : 0;
	return r < 0 ? r : command->run(&line, argv, err);
}

/* So that no descriptor of ours becomes 0, 1 or 2. */
static void open_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	struct error err;

	open_standard_descriptors();
	if (run(argc, argv, &err) == 0)
		return EXIT_SUCCESS;
	text_clean(err.text);
	/* containerd puts this text into the middle of a line. */
	fprintf(stderr, "%s: %s%s", "containerd-shim-kata-v2", err.text,
	        isatty(STDERR_FILENO) ? "\n" : "");
	return EXIT_FAILURE;
}
