/*
 * Properties of the processor that this runs on.
 */
#ifndef COMMON_PROCESSOR_H
#define COMMON_PROCESSOR_H

/* The instructions for virtual machines that it has, as /proc/cpuinfo names them: CPUID's. */
enum processor_virtualization {
	PROCESSOR_NEITHER,
	PROCESSOR_VMX,
	PROCESSOR_SVM,
};

enum processor_virtualization processor_virtualization(void);

#endif
