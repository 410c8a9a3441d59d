/*
 * The file that a container process executes. Texts of failures are those of runc, since clients
 * read them: `exec: "nosuch": executable file not found in $PATH`.
 */
#ifndef AGENT_EXECUTABLE_H
#define AGENT_EXECUTABLE_H

struct error;

/*
 * @name as the calling process would execute it: a name with a slash as it is, any other in the
 * directories of @path (PATH; may be NULL). free() *@out.
 */
int executable_find(const char *name, const char *path, char **out, struct error *err);

/* To be read ahead; -1: the process may not read it, or it is no file. */
int executable_open(const char *file);

/*
 * Asks for the first megabytes of a file that will be executed, all at once: when they are read
 * because the program touches them, each piece is waited for.
 */
void executable_read_ahead(int fd);

#endif
