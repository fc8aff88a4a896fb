/*
 * Runs warm pairs of malloc and free for fastpath.py, which looks at each instruction of them.
 *   fastpath           steps a child through the pairs by ptrace and prints what it executed:
 *                      "malloc 64: 1f0 1f4 ..." (offsets in the library; "-" is outside of it)
 *   fastpath --plain   runs the pairs only and prints where things are, for a tracing emulator
 */
#include <elf.h>
#include <link.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#include "check.h"

enum { WARM = 64, ROUNDS = 16, MAX_STEPS = 100000 };

static const size_t sizes[] = {16, 64, 256, 1024};
#define N_SIZES (sizeof(sizes) / sizeof(sizes[0]))

/* The addresses the library's segments lie between. */
static uintptr_t lib_base, lib_end;
static void *(*the_malloc)(size_t);
static void (*the_free)(void *);

static int find_library(struct dl_phdr_info *info, size_t size, void *address)
{
	uintptr_t end = 0;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		uintptr_t last = info->dlpi_phdr[i].p_vaddr + info->dlpi_phdr[i].p_memsz;

		if (info->dlpi_phdr[i].p_type == PT_LOAD && last > end)
			end = last;
	}
	if ((uintptr_t)address < info->dlpi_addr || (uintptr_t)address >= info->dlpi_addr + end)
		return 0;
	lib_base = info->dlpi_addr;
	lib_end = lib_base + end;
	return 1;
}

static void find_functions(void)
{
	uintptr_t address;

	LOOKUP(the_malloc, RTLD_DEFAULT, "malloc");
	LOOKUP(the_free, RTLD_DEFAULT, "free");
	memcpy(&address, &the_malloc, sizeof(address));
	CHECK(the_malloc && the_free && dl_iterate_phdr(find_library, (void *)address) == 1);
}

/* An address that a trace shows before each measured pair, and the size in a register. */
__attribute__((noinline)) static void mark(size_t size)
{
	__asm__ volatile("" : : "r"(size) : "memory");
}

static void pairs(size_t size, int count, bool measured)
{
	for (int i = 0; i < count; i++) {
		void *p;

		if (measured)
			mark(size);
		p = opaque(the_malloc(size));
		the_free(p);
	}
}

static void all_sizes(bool stop)
{
	for (size_t i = 0; i < N_SIZES; i++) {
		pairs(sizes[i], WARM, false);
		if (stop)
			raise(SIGSTOP);
		pairs(sizes[i], ROUNDS, true);
		if (stop)
			raise(SIGSTOP);
	}
}

static void plain(void)
{
	uintptr_t at[3];
	void (*marker)(size_t) = mark;

	memcpy(&at[0], &marker, sizeof(at[0]));
	memcpy(&at[1], &the_malloc, sizeof(at[1]));
	memcpy(&at[2], &the_free, sizeof(at[2]));
	printf("library %#zx %#zx\nmark %#zx\nmalloc %#zx\nfree %#zx\nrounds %d\nsizes", lib_base,
	       lib_end, at[0], at[1], at[2], ROUNDS);
	for (size_t i = 0; i < N_SIZES; i++)
		printf(" %zu", sizes[i]);
	puts("");
	fflush(stdout);
	all_sizes(false);
}

#if defined(__x86_64__)

struct place {
	uintptr_t pc;
	uintptr_t sp;
};

static struct place where(pid_t child)
{
	struct user_regs_struct regs;
	struct iovec part = {&regs, sizeof(regs)};

	CHECK(ptrace(PTRACE_GETREGSET, child, (void *)NT_PRSTATUS, &part) == 0);
	return (struct place){regs.rip, regs.rsp};
}

/* One instruction further; false where the child stopped itself instead. */
static bool step(pid_t child)
{
	int status;

	CHECK(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) == 0);
	CHECK(waitpid(child, &status, 0) == child && WIFSTOPPED(status));
	return WSTOPSIG(status) == SIGTRAP;
}

/* The child stands at the first instruction; the return takes its stack above where it is now. */
static void print_call(pid_t child, const char *name, size_t size)
{
	struct place place = where(child);
	uintptr_t entry_sp = place.sp;
	int steps = 0;

	printf("%s %zu:", name, size);
	while (place.sp <= entry_sp) {
		if (place.pc >= lib_base && place.pc < lib_end)
			printf(" %zx", place.pc - lib_base);
		else
			printf(" -");
		CHECK_THAT(++steps < MAX_STEPS, "no end of %s(%zu)", name, size);
		CHECK(step(child));
		place = where(child);
	}
	puts("");
}

static void trace_pairs(pid_t child, size_t size)
{
	uintptr_t at_malloc, at_free;

	memcpy(&at_malloc, &the_malloc, sizeof(at_malloc));
	memcpy(&at_free, &the_free, sizeof(at_free));
	while (step(child)) {
		uintptr_t pc = where(child).pc;

		if (pc == at_malloc)
			print_call(child, "malloc", size);
		else if (pc == at_free)
			print_call(child, "free", size);
	}
}

static void wait_for_stop(pid_t child)
{
	int status;

	CHECK(ptrace(PTRACE_CONT, child, NULL, NULL) == 0);
	CHECK(waitpid(child, &status, 0) == child);
	CHECK_THAT(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP, "the child is gone");
}

static void traced(void)
{
	pid_t child = fork();
	int status;

	CHECK(child >= 0);
	if (child == 0) {
		CHECK(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0);
		raise(SIGSTOP);
		all_sizes(true);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && WIFSTOPPED(status));
	for (size_t i = 0; i < N_SIZES; i++) {
		wait_for_stop(child);
		trace_pairs(child, sizes[i]);
	}
	CHECK(ptrace(PTRACE_KILL, child, NULL, NULL) == 0);
	waitpid(child, &status, 0);
}

#else

static void traced(void)
{
	skip("stepping by ptrace is written for x86-64");
}

#endif

int main(int argc, char **argv)
{
	find_functions();
	if (argc == 2 && strcmp(argv[1], "--plain") == 0)
		plain();
	else
		traced();
	return 0;
}
