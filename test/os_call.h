/*
 * The calls of the core to the system (core/os.h) that tests of refusals refuse, in test/unit by a hook
 * (wrap_os.h) and in test/faults by their number (fake_os.h).
 */
#ifndef USLUB_TEST_OS_CALL_H
#define USLUB_TEST_OS_CALL_H

enum os_call {
	OS_RESERVE,
	OS_RESERVE_AT,
	OS_MAP,
	OS_UNMAP,
	OS_COMMIT,
	OS_UNCOMMIT,
	OS_PURGE,
	OS_RESIZE,
	OS_MOVE,
	OS_WIPE_ON_FORK,
	OS_ANY,		   /* each of the above */
	OS_AT_THREAD_EXIT, /* a record that is not passed on is lost: for itself only */
	NR_OS_CALLS,
};

#endif
