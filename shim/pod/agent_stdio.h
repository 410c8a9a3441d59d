/*
 * The streams of a process by upstream's calls: ReadStdout, ReadStderr, WriteStdin, CloseStdin. For
 * an agent that has no streams (shim/stdio/guest_io.h).
 */
#ifndef SHIM_AGENT_STDIO_H
#define SHIM_AGENT_STDIO_H

#include "shim/stdio/guest_io.h"

struct agent;
struct process;

/* What the stdio of @process is to use: no calls where the agent has streams. The agent and the
 * process outlive the stdio. */
struct guest_io agent_stdio_for(struct agent *agent, struct process *process);

#endif
