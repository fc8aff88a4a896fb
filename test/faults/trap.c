/* Trapped system calls; see trap.h. */
#include "trap.h"

#include <link.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/ucontext.h>
#include <sys/wait.h>

#include "check.h"

struct trap trap = {.fail = TRAP_ANY};

static const struct {
	const char *name;
	long nr;
} calls[NR_TRAP_CALLS] = {
	[TRAP_MMAP] = {"mmap", SYS_mmap},	   [TRAP_MUNMAP] = {"munmap", SYS_munmap},
	[TRAP_MREMAP] = {"mremap", SYS_mremap},	   [TRAP_MPROTECT] = {"mprotect", SYS_mprotect},
	[TRAP_MADVISE] = {"madvise", SYS_madvise}, [TRAP_ANY] = {"any", -1},
};

/* Makes the system call that is in the registers. */
long trap_stub(const unsigned long *registers);

#if defined(__x86_64__)
#define TRAP_ARCH AUDIT_ARCH_X86_64
__asm__(".text\n"
	".globl trap_stub\n"
	".type trap_stub, @function\n"
	"trap_stub:\n"
	"	movq %rdi, %r11\n"
	"	movq (%r11), %rax\n"
	"	movq 8(%r11), %rdi\n"
	"	movq 16(%r11), %rsi\n"
	"	movq 24(%r11), %rdx\n"
	"	movq 32(%r11), %r10\n"
	"	movq 40(%r11), %r8\n"
	"	movq 48(%r11), %r9\n"
	"	syscall\n"
	"	ret\n"
	".size trap_stub, . - trap_stub\n");

static void load_registers(const mcontext_t *m, unsigned long *registers)
{
	static const int order[] = {REG_RAX, REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9};

	for (int i = 0; i < 7; i++)
		registers[i] = (unsigned long)m->gregs[order[i]];
}

static void store_result(mcontext_t *m, long result)
{
	m->gregs[REG_RAX] = result;
}
#elif defined(__aarch64__)
#define TRAP_ARCH AUDIT_ARCH_AARCH64
__asm__(".text\n"
	".globl trap_stub\n"
	".type trap_stub, %function\n"
	"trap_stub:\n"
	"	mov x9, x0\n"
	"	ldr x8, [x9]\n"
	"	ldp x0, x1, [x9, 8]\n"
	"	ldp x2, x3, [x9, 24]\n"
	"	ldp x4, x5, [x9, 40]\n"
	"	svc 0\n"
	"	ret\n"
	".size trap_stub, . - trap_stub\n");

static void load_registers(const mcontext_t *m, unsigned long *registers)
{
	registers[0] = m->regs[8];
	for (int i = 0; i < 6; i++)
		registers[i + 1] = m->regs[i];
}

static void store_result(mcontext_t *m, long result)
{
	m->regs[0] = (unsigned long)result;
}
#endif

/* Where the library's code lies. */
static uintptr_t library_start, library_end;

static int find_library(struct dl_phdr_info *info, size_t size, void *malloc_address)
{
	uintptr_t wanted = (uintptr_t)malloc_address;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		uintptr_t start = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
		uintptr_t end = start + info->dlpi_phdr[i].p_memsz;

		if (info->dlpi_phdr[i].p_type != PT_LOAD || wanted < start || wanted >= end)
			continue;
		library_start = start;
		library_end = end;
		return 1;
	}
	return 0;
}

static bool refuses(long nr)
{
	enum trap_call call = 0;
	uint32_t n, any;

	while (calls[call].nr != nr)
		call++;
	n = atomic_fetch_add(&trap.calls[call], 1) + 1;
	any = atomic_fetch_add(&trap.calls[TRAP_ANY], 1) + 1;
	if (trap.fail != call && trap.fail != TRAP_ANY)
		return false;
	if (trap.fail == TRAP_ANY)
		n = any;
	return n >= trap.fail_from && n < trap.fail_until;
}

static void on_sigsys(int signal, siginfo_t *info, void *context)
{
	mcontext_t *m = &((ucontext_t *)context)->uc_mcontext;
	unsigned long registers[7];

	(void)signal;
	load_registers(m, registers);
	/* The kernel has put the call's number back only into the siginfo. */
	registers[0] = (unsigned long)info->si_syscall;
	if (refuses(info->si_syscall)) {
		atomic_fetch_add(&trap.refused, 1);
		store_result(m, -ENOMEM);
		return;
	}
	store_result(m, trap_stub(registers));
}

const char *trap_name(enum trap_call call)
{
	return calls[call].name;
}

enum trap_call trap_by_name(const char *name)
{
	enum trap_call call = 0;

	while (call < NR_TRAP_CALLS && strcmp(calls[call].name, name) != 0)
		call++;
	return call;
}

/* The C library makes such calls with all signals blocked; only the library's own are trapped. */
static bool install_filter(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TRAP_ARCH, 0, 12),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 4, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_munmap, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mremap, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 6),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, instruction_pointer) + 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(library_start >> 32), 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, instruction_pointer)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (uint32_t)library_start, 0, 2),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, (uint32_t)library_end, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};

	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

void trap_install(void)
{
	struct sigaction action = {.sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO | SA_NODEFER};

	CHECK(!sigaction(SIGSYS, &action, NULL));
	CHECK(install_filter());
}

void trap_init(char **argv)
{
	int status;
	pid_t pid;

	CHECK(dl_iterate_phdr(find_library, dlsym(RTLD_DEFAULT, "malloc")) == 1);
	/* Filters compare 32 bits. Once in many thousand starts the library lies across their border. */
	if (library_start >> 32 != library_end >> 32) {
		execv(argv[0], argv);
		CHECK_THAT(false, "%s cannot be started again", argv[0]);
	}
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0)
		_exit(!install_filter());
	CHECK(waitpid(pid, &status, 0) == pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		skip("seccomp filters can't be installed here");
}
