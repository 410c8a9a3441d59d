/*
 * The figures of the guest and of the agent as Prometheus reads them (its text format, version
 * 0.0.4), under the names that upstream's agent gives them (docs/design/kata-2-0-metrics.md there).
 */
#ifndef AGENT_METRICS_H
#define AGENT_METRICS_H

#include <stdint.h>

#define METRICS_MAX (512 << 10) /* bytes; what does not fit is left out, by whole lines */

/* @root: "", or where /proc is below. @scrapes: how often they have been read. To be freed. */
char *metrics_read(const char *root, uint64_t scrapes);

#endif
