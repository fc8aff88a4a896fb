/*
 * A trap after each instruction, as a SIGTRAP: by x86-64's trap flag. Elsewhere CAN_STEP is 0 and nothing happens. In line, or
 * the test would step through these, too.
 */
#ifndef USLUB_TEST_TRAP_FLAG_H
#define USLUB_TEST_TRAP_FLAG_H

#if defined(__x86_64__)
#define CAN_STEP 1

static inline __attribute__((always_inline)) void step_on(void)
{
	__asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq" : : : "memory", "cc");
}

static inline __attribute__((always_inline)) void step_off(void)
{
	__asm__ volatile("pushfq; andq $~0x100, (%%rsp); popfq" : : : "memory", "cc");
}
#else
#define CAN_STEP 0

static inline void step_on(void)
{
}

static inline void step_off(void)
{
}
#endif

#endif
