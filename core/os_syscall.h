/*
 * System calls without libc's wrappers: they leave errno alone and are safe before libc is set up.
 * Returns what the kernel returned: -errno on failure. Layer: os; included by os_linux.c alone.
 */
#ifndef USLUB_OS_SYSCALL_H
#define USLUB_OS_SYSCALL_H

#include <sys/syscall.h>

#if defined(__x86_64__)
static inline long os_syscall6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}
#elif defined(__aarch64__)
static inline long os_syscall6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc #0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return x0;
}
#endif

static inline long os_syscall3(long nr, long a, long b, long c)
{
	return os_syscall6(nr, a, b, c, 0, 0, 0);
}

static inline bool os_is_error(long ret)
{
	return (unsigned long)ret > -4096UL;
}

#endif
