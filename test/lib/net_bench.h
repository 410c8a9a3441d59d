/*
 * A network namespace of a test's own, in the kernel that the test runs on. Without root it is one
 * of a user namespace. Where the kernel refuses both, the test is skipped and says so. The main function
 * of such a test is here.
 */
#ifndef TEST_NET_BENCH_H
#define TEST_NET_BENCH_H

/* The test's process is in it from here on; only lo is there, and it is up. */
void net_bench_enter(void);

/* Commands of sh, ip(8) among them; a failure is the test's. */
void net_bench_run(const char *commands);

/* The output of a command, to be compared; valid until the next call. */
const char *net_bench_output(const char *command);

#endif
