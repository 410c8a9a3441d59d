#include "common/processor.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "common/mem.h"

Test(processor, virtualizes_as_the_kernel_says)
{
	FILE *cpuinfo = fopen("/proc/cpuinfo", "re");
	enum processor_virtualization told = PROCESSOR_NEITHER;
	autofree char *line = NULL;
	size_t size = 0;

	cr_assert_not_null(cpuinfo);
	while (getline(&line, &size, cpuinfo) > 0) {
		if (strncmp(line, "flags", 5) != 0)
			continue;
		if (strstr(line, " vmx"))
			told = PROCESSOR_VMX;
		else if (strstr(line, " svm"))
			told = PROCESSOR_SVM;
	}
	fclose(cpuinfo);
	cr_assert_eq(processor_virtualization(), told);
}
