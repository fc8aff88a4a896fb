/*
 * What the cases that interrupt a thread at each instruction share. Layer: tools; see freeze.h.
 */
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "freeze.h"

/* Where the library under test is. */
static uintptr_t text_from, text_to;
static bool text_is_libc;

static int find_text(struct dl_phdr_info *info, size_t size, void *address)
{
	uintptr_t from = UINTPTR_MAX, to = 0;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + segment->p_vaddr;

		if (segment->p_type != PT_LOAD)
			continue;
		from = start < from ? start : from;
		to = start + segment->p_memsz > to ? start + segment->p_memsz : to;
	}
	if ((uintptr_t)address < from || (uintptr_t)address >= to)
		return 0;
	text_from = from;
	text_to = to;
	return 1;
}

void freeze_prepare(void)
{
	void *symbol = dlsym(RTLD_DEFAULT, "malloc"), *thread = dlsym(RTLD_DEFAULT, "fork");

	dl_iterate_phdr(find_text, symbol);
	text_is_libc = (uintptr_t)thread >= text_from && (uintptr_t)thread < text_to;
}

bool freeze_inside(uintptr_t *entry, const struct step *step)
{
	if (*entry && step->sp <= *entry)
		return true;
	*entry = step->pc >= text_from && step->pc < text_to ? step->sp : 0;
	return *entry != 0;
}

bool freeze_is_libc(void)
{
	return text_is_libc;
}

pthread_t freeze_thread(void *(*body)(void *), void *arg)
{
	pthread_t thread;
	int error = pthread_create(&thread, NULL, body, arg);

	if (error)
		conform_end(CONFORM_UNABLE, "a thread can't be started:", (unsigned long)error);
	return thread;
}

void freeze_in_child(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static _Noreturn void die_by(int signal_number)
{
	signal(signal_number, SIG_DFL);
	kill(getpid(), signal_number);
	abort();
}

void freeze_reap(pid_t child)
{
	int status = 0;

	if (child < 0)
		conform_end(CONFORM_UNABLE, "no child could be made:", (unsigned long)errno);
	while (waitpid(child, &status, 0) != child) {
		if (errno != EINTR)
			conform_end(CONFORM_UNABLE, "a child is lost:", (unsigned long)errno);
	}
	if (WIFSIGNALED(status))
		die_by(WTERMSIG(status));
	if (WEXITSTATUS(status) != 0)
		_exit(WEXITSTATUS(status));
}

size_t freeze_growth(size_t before, size_t bound)
{
	size_t now, growth;

	malloc_trim(0);
	now = conform_resident();
	growth = now > before ? now - before : 0;
	if (growth > bound)
		conform_end(CONFORM_FAIL, "memory is left behind, in KiB:", growth / 1024);
	return growth;
}

void freeze_check_growth(size_t before, size_t bound)
{
	conform_note("KiB left", freeze_growth(before, bound) / 1024);
}
