/*
 * Threads by clone(2). Layer: os; see os_thread.h.
 */
#include "os_thread.h"
#include "os_syscall.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>

#define THREAD_FLAGS (CLONE_VM | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS)
/* Descriptors that are looked for where close_range() is missing. */
#define MAX_CLOSED 65536U

/*
 * Returns what clone() does, in the caller alone. The new thread finds fn and its argument at the top of its stack,
 * which has no caller's frame: unwinding ends here.
 */
long os_clone(unsigned long flags, void *stack, void *tls) __attribute__((visibility("hidden")));

#if defined(__x86_64__)
__asm__(".pushsection .text\n"
	".globl os_clone\n"
	".hidden os_clone\n"
	".type os_clone, @function\n"
	"os_clone:\n"
	".cfi_startproc\n"
	".cfi_undefined rip\n"
	"	mov %rdx, %r8\n"
	"	xor %edx, %edx\n"
	"	xor %r10d, %r10d\n"
	"	mov $56, %eax\n"
	"	syscall\n"
	"	test %rax, %rax\n"
	"	jz 1f\n"
	"	ret\n"
	"1:	xor %ebp, %ebp\n"
	"	pop %rax\n"
	"	pop %rdi\n"
	"	call *%rax\n"
	"	xor %edi, %edi\n"
	"	mov $60, %eax\n"
	"	syscall\n"
	"	hlt\n"
	".cfi_endproc\n"
	".size os_clone, . - os_clone\n"
	".popsection\n");

uintptr_t os_thread_pointer(void)
{
	uintptr_t tls;

	__asm__("mov %%fs:0, %0" : "=r"(tls));
	return tls;
}

void os_thread_pointer_init(void *tls)
{
	*(void **)tls = tls;
}
#elif defined(__aarch64__)
__asm__(".pushsection .text\n"
	".globl os_clone\n"
	".hidden os_clone\n"
	".type os_clone, %function\n"
	"os_clone:\n"
	".cfi_startproc\n"
	".cfi_undefined x30\n"
	"	mov x3, x2\n"
	"	mov x2, #0\n"
	"	mov x4, #0\n"
	"	mov x8, #220\n"
	"	svc #0\n"
	"	cbz x0, 1f\n"
	"	ret\n"
	"1:	mov x29, #0\n"
	"	mov x30, #0\n"
	"	ldp x1, x0, [sp], #16\n"
	"	blr x1\n"
	"	mov x0, #0\n"
	"	mov x8, #93\n"
	"	svc #0\n"
	"	brk #0\n"
	".cfi_endproc\n"
	".size os_clone, . - os_clone\n"
	".popsection\n");

uintptr_t os_thread_pointer(void)
{
	uintptr_t tls;

	__asm__("mrs %0, tpidr_el0" : "=r"(tls));
	return tls;
}

void os_thread_pointer_init(void *tls)
{
	(void)tls;
}
#endif

static uint64_t set_signals(uint64_t mask)
{
	uint64_t old = 0;

	os_syscall6(SYS_rt_sigprocmask, SIG_SETMASK, (long)&mask, (long)&old, 8, 0, 0);
	return old;
}

uint64_t os_block_signals(void)
{
	return set_signals(~(uint64_t)0);
}

void os_restore_signals(uint64_t mask)
{
	set_signals(mask);
}

bool os_thread_start(struct os_thread *t)
{
	unsigned long flags = THREAD_FLAGS | (t->shares ? CLONE_FS | CLONE_FILES : 0);
	uint64_t mask = os_block_signals();
	void **top = (void **)t->stack - 2;
	long ret;

	top[0] = (void *)(uintptr_t)t->fn;
	top[1] = t->arg;
	atomic_signal_fence(memory_order_seq_cst);
	ret = os_clone(flags, top, t->tls);
	os_restore_signals(mask);
	return !os_is_error(ret);
}

bool os_thread_unshare(const struct os_thread *t)
{
	struct rlimit limit = {0, 0};

	if (t->shares && os_is_error(os_syscall3(SYS_unshare, CLONE_FILES | CLONE_FS, 0, 0)))
		return false;
	if (!os_is_error(os_syscall3(SYS_close_range, 0, ~0U, 0)))
		return true;
	os_syscall6(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, (long)&limit, 0, 0);
	for (long fd = 0; fd < (long)limit.rlim_cur && fd < (long)MAX_CLOSED; fd++)
		os_syscall3(SYS_close, fd, 0, 0);
	return true;
}
