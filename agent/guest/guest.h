/*
 * The guest as a machine: its size, its clock, its entropy, its end.
 */
#ifndef AGENT_GUEST_H
#define AGENT_GUEST_H

#include <stddef.h>
#include <stdint.h>

struct error;

/* Bytes of a block of hot-pluggable memory; 0: the kernel has none. */
uint64_t guest_memory_block_size(void);

/* Brings @cpus that are offline online. They may still come: they are waited for, GUEST_CPUS_MS.
 * On failure none of them is. */
#define GUEST_CPUS_MS 5000
int guest_online_cpus(uint32_t cpus, struct error *err);
/* Takes the @cpus online ones with the highest numbers offline, those that came last. On failure some
 * of them are. */
int guest_offline_cpus(uint32_t cpus, struct error *err);
int guest_online_memory(struct error *err); /* every block there is */
/* From now on memory that is plugged comes online by itself (virtio-mem adds no more than a GiB that
 * is not), up to three times what the kernel has for itself as movable: only that can surely be given
 * back. A kernel without hot-plug needs nothing. */
void guest_take_memory_at_once(void);

int64_t guest_clock_ns(void); /* since 1970 */
int guest_set_time(int64_t sec, int64_t usec, struct error *err);
/* Both change it by @ns: at once; or gradually, by half a millisecond a second. */
int guest_step_clock(int64_t ns, struct error *err);
int guest_slew_clock(int64_t ns, struct error *err);
int guest_add_entropy(const void *data, size_t len, struct error *err);

void guest_power_off(void) __attribute__((noreturn));

#endif
