/*
 * What a user can do about the failure of a virtual machine: the end of its error text. Each names
 * what is to be looked at: a package, a key of configuration.toml, a log.
 */
#ifndef HYPERVISOR_HINT_H
#define HYPERVISOR_HINT_H

struct error;

enum hint {
	HINT_QEMU_PROGRAM, /* cannot be executed */
	HINT_VIRTIOFSD_PROGRAM,
	HINT_VSOCK_PROGRAM,
	HINT_GUEST_IMAGE, /* the kernel or the initramfs cannot be used */
	HINT_KVM,
	HINT_MEMORY,
	HINT_QEMU_REFUSED, /* it has ended with a word of its own */
	HINT_GUEST_ENDED,
	HINT_GUEST_SILENT,
	HINT_KILLED,
	HINT_CRASHED,
};

/* Adds it to @err; returns the negative errno nearest to the error's code. */
int hint_add(struct error *err, enum hint hint);

/* Adds @hint when @r, the result of proc_spawn(), says that there is nothing to execute; returns
 * @r. */
int hint_add_to_spawn(struct error *err, enum hint hint, int r);

/* Adds what is to be said of a process that a signal ended, @status as of waitpid(2); of others
 * nothing. */
void hint_add_to_end(struct error *err, int status);

#endif
