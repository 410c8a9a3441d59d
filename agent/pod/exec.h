/*
 * The execs of a container: made and started by one call, and removed when a wait for them has been
 * answered, and their output has been read where that is by calls: which of the two ends first is the
 * client's choice. The output of EXECS_UNREAD_MAX is kept for that, and until their id is used again.
 */
#ifndef AGENT_EXEC_H
#define AGENT_EXEC_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

struct ev_loop;
struct exec;
struct exec_list;
struct process;
struct process_config;
struct streams;
struct ttrpc_call;

#define EXECS_UNREAD_MAX 64

struct exec_list *exec_list_create(void);

/* NULL is fine. A call that waits for its exec to start is failed with @why. */
void exec_list_destroy(struct exec_list *list, const struct error *why);
bool exec_list_ended(const struct exec_list *list); /* all have been reaped */

/*
 * @call (ExecProcess) is answered when the process has reached its execve, or not, unless this
 * returns an error. ERROR_ALREADY_EXISTS: @id is in use; ERROR_RESOURCE_EXHAUSTED: there are
 * LIMIT_EXECS.
 */
int exec_start(struct exec_list *list, struct ev_loop *loop, struct streams *streams,
               const char *id, const struct process_config *config, struct ttrpc_call *call,
               struct error *err);

struct exec *exec_find(const struct exec_list *list, const char *id); /* NULL: there is none */
struct process *exec_process(const struct exec *exec);

/* As process_wait(); the exec may be gone when this returns. */
void exec_wait(struct exec *exec, struct ttrpc_call *call, bool with_oom);

/* As process_read(); the exec may be gone when this returns. */
int exec_read(struct exec *exec, int which, uint32_t len, struct ttrpc_call *call,
              struct error *err);

#endif
