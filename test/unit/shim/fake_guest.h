/*
 * What is below the shim's service, without a virtual machine: a VM, its vsock and root file
 * systems that only say yes, and an agent behind a real ttrpc server that does as it is told.
 */
#ifndef TEST_FAKE_GUEST_H
#define TEST_FAKE_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "hypervisor/vsock.h"
#include "liar.h"

struct ev_loop;

#define FAKE_STREAMS_MAX 16
#define FAKE_EVENTS_MAX  32
#define FAKE_PID         4242 /* the first placeholder's; each has the next */

struct fake_stream {
	int fd; /* -1: none was attached yet, or it is done */
	bool open;
	bool done;
	uint32_t port;
	char greeting[40];              /* of a duplex one */
	struct vsock_progress progress; /* what the device says of it */
};

struct fake_guest {
	struct ev_loop *loop;
	char dir[32]; /* a temporary directory: the agent's socket, the pod's directories, FIFOs */

	/* What goes wrong; set before the service starts or before the call. */
	const char *vm_refuses;     /* vm_start() fails with this text */
	const char *boot_dies;      /* the VM ends at once, with this text */
	bool no_hello;              /* nor does anybody listen */
	bool upstream;              /* the agent has no word of ours, and says no hello */
	unsigned int listens_after; /* so many attempts to connect to it */
	unsigned int serves_after;  /* so many questions whether it does */
	unsigned int connects;      /* how many there were */
	bool is_ours;               /* and has words all the same */
	const char *fails;          /* the agent's method that is refused with @refusal */
	struct error refusal;
	void (*on_routes)(void); /* before UpdateRoutes is answered */
	const char *holds;       /* the agent's method that is not answered until fake_release() */
	bool holding;            /* it has come */
	bool survives;           /* no process ends by SIGKILL */
	bool oom_at_exit;        /* the answers to WaitProcess tell of it */
	const char *lies_at;     /* the agent's method that is answered as @lie says */
	enum liar_fault lie;
	bool streams_refuse; /* no stream can be opened */
	bool tells_written;  /* an exit comes with how much was written to stdout: */
	uint64_t written;
	bool unmount_fails;            /* at once */
	const char *placeholder_fails; /* from the loop, with this text */
	bool placeholders_linger;      /* one that is ended has not gone until fake_reap() */
	bool cards_refused;            /* that are plugged in or unplugged */
	bool resize_fails;             /* of the machine */

	/* What happened, in order: "CreateContainer c", "/tasks/create", "unmount", … one a line.
	 */
	char log[4096];
	unsigned int vms;   /* that live */
	size_t n_devices;   /* of the last one */
	unsigned int vcpus; /* the same, as all that follow here */
	unsigned int vcpus_max;
	bool vcpus_stay;
	bool vcpus_leave; /* as with KVM */
	uint64_t memory_mib;
	uint64_t memory_max_mib;
	unsigned int mounts;
	unsigned int placeholders;  /* that have not gone */
	char placeholder_root[128]; /* of the last: its root directory */
	struct fake_stream streams[FAKE_STREAMS_MAX];
	size_t n_streams;
	uint32_t ports[3];     /* of the last CreateContainer or ExecProcess */
	uint32_t size[2];      /* rows and columns of the last exec's terminal */
	int64_t memory_limit;  /* of the last UpdateContainer */
	uint32_t exit_status;  /* of the last exit event */
	char namespaces[128];  /* of the last CreateContainer: "pid mount=/path …" */
	char pid_of[32];       /* the container whose pid namespace it joins */
	char pod_sysctl[64];   /* of CreateSandbox: "key=value" of the first */
	char shm_source[128];  /* what is mounted at /dev/shm in it */
	char shm_storage[128]; /* of CreateSandbox: its mount point and size */
	size_t n_host_rlimits; /* of CreateSandbox */
	size_t n_host_sysctls;
	char capability[32];    /* the first effective one of the last exec */
	int64_t clock_ahead_ns; /* the guest's clock, of the host's */
	int64_t clock_slew_ns;  /* as the last call wanted it */
};

extern struct fake_guest fake;

void fake_init(struct ev_loop *loop);
void fake_fini(void);

/* Each of these does nothing where there is nothing to do it to, fake_exit() aside. */
void fake_release(void); /* the held call is answered with success */
/* The process ends: its WaitProcess is answered. */
void fake_exit(const char *exec_id, int status);
bool fake_exit_any(int status); /* false: no process is waited for */
void fake_oom(const char *id);  /* a container has run out of memory */
bool fake_oom_is_asked_for(void);
void fake_kill_vm(const char *cause);
void fake_lose_agent(void); /* its connection ends, as it does a moment before its VM does */
void fake_kill_placeholder(uint32_t pid);
void fake_reap(void);            /* all that linger */
void fake_stream_done(size_t i); /* as the device says it */

bool fake_logged(const char *line);
/* Whether @first is in the log before @second. */
bool fake_order(const char *first, const char *second);

#endif
