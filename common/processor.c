#include "common/processor.h"

#include <cpuid.h>

#define CPUID_FEATURES     1
#define CPUID_VMX          (1u << 5)
#define CPUID_EXT_FEATURES 0x80000001u
#define CPUID_SVM          (1u << 2)

enum processor_virtualization processor_virtualization(void)
{
	unsigned int eax, ebx, ecx, edx;

	if (__get_cpuid(CPUID_FEATURES, &eax, &ebx, &ecx, &edx) && ecx & CPUID_VMX)
		return PROCESSOR_VMX;
	if (__get_cpuid(CPUID_EXT_FEATURES, &eax, &ebx, &ecx, &edx) && ecx & CPUID_SVM)
		return PROCESSOR_SVM;
	return PROCESSOR_NEITHER;
}
