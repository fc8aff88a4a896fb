// SPDX-License-Identifier: MIT
/* The list of all workloads, in the order of the report. */
#include "workload.h"

const struct workload *const workloads[] = {
	&pair_lifo,
	&pair_random,
	&pair_fifo,
	&pair_lifo_threads,
	&pair_random_threads,
	&zeroed_pairs,
	&growth_one,
	&growth_four,
	&burst_pairs,
	&scattered_frees,
	&remote_frees,
	&ring_control,
#if defined(__x86_64__)
	&nested_outside,
	&nested_malloc,
	&nested_free,
#endif
	NULL,
};
