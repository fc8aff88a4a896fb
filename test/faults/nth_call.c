/*
 * Makes each call to the kernel fail, in turn. A child process does the workload while the n-th call of a
 * kind is refused, once or from then on; then memory comes back, the workload must do without a failure,
 * and nothing may be left behind. A process each, from a heap that was never used.
 *   nth_call KIND [PAGE_KIB [STRIDE]]
 */
#include <signal.h>

#include "check.h"
#include "core_heap.h"
#include "fake_os.h"

#define NOT_REACHED 2
#define MAX_BAD 8
/* Small enough for address space to be reserved in many pieces. */
#define ADDRESS_LIMIT ((size_t)128 << 20)

struct fault {
	enum os_call kind;
	unsigned int n;
	bool stays;
};

static void work_through(void *arg)
{
	static struct workload w;
	const struct fault *fault = arg;
	bool reached;

	fake_os.fail = fault->kind;
	fake_os.fail_from = fault->n;
	fake_os.fail_until = fault->stays ? UINT32_MAX : fault->n + 1;
	w.heap = &core_heap;
	workload_run(&w);
	reached = fake_os.refused > 0;
	CHECK_THAT(reached || !w.failures, "%u NULLs although nothing was refused", w.failures);
	fake_os_recover();
	workload_check(&w);
	w.no_failures = true;
	workload_run(&w);
	workload_free_all(&w);
	/* Where no thread could say that it wants to know of its end, nobody can tell that it has ended. */
	if (fault->kind != OS_AT_THREAD_EXIT || !fault->stays)
		core_heap_check_empty();
	_exit(reached ? 0 : NOT_REACHED);
}

static bool is_bad(const struct fault *fault, int result)
{
	if (result == 0 || result == NOT_REACHED)
		return false;
	fprintf(stderr, "FAILED: %s call %u refused%s: %s %d\n", os_call_name(fault->kind),
		fault->n, fault->stays ? ", and all after it" : "",
		result < 0 ? "signal" : "status", result < 0 ? -result : result);
	return true;
}

/* Returns the number of calls that were refused in turn. */
static unsigned int each_in_turn(struct fault *fault, unsigned int stride, unsigned int *bad)
{
	unsigned int runs = 0;

	for (fault->n = 1; *bad < MAX_BAD; fault->n += stride, runs++) {
		int result = in_child(work_through, fault);

		*bad += is_bad(fault, result);
		if (result == NOT_REACHED)
			break;
	}
	return runs;
}

int main(int argc, char **argv)
{
	unsigned int stride, bad = 0, runs = 0;
	struct fault fault;

	CHECK_THAT(argc >= 2 && argc <= 4, "usage: nth_call KIND [PAGE_KIB [STRIDE]]");
	fault.kind = os_call_by_name(argv[1]);
	CHECK_THAT(fault.kind < NR_OS_CALLS, "there is no call %s", argv[1]);
	fake_os.page_size = argc > 2 ? strtoul(argv[2], NULL, 10) << 10 : 0;
	stride = argc > 3 ? (unsigned int)strtoul(argv[3], NULL, 10) : 1;
	CHECK(stride > 0);
	fake_os.address_limit = ADDRESS_LIMIT;
	/* Of all kinds together, each call once is what the kinds do one by one. */
	for (int stays = fault.kind == OS_ANY; stays < 2; stays++) {
		fault.stays = stays;
		runs += each_in_turn(&fault, stride, &bad);
	}
	printf("%s: %u cases, %u failed\n", argv[1], runs, bad);
	CHECK_THAT(runs, "the workload makes no such call");
	return bad ? 1 : 0;
}
