/*
 * The C library's malloc with all signals blocked around each call: right in any handler, and slow. So
 * the suite must let it pass where handlers interrupt a thread; a check on the suite itself.
 */
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void __libc_free(void *p);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t align, size_t size);

static pid_t (*next_fork)(void);

static void block(sigset_t *old)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, old);
}

static void unblock(const sigset_t *old)
{
	pthread_sigmask(SIG_SETMASK, old, NULL);
}

void *malloc(size_t size)
{
	sigset_t old;
	void *p;

	block(&old);
	p = __libc_malloc(size);
	unblock(&old);
	return p;
}

void free(void *p)
{
	sigset_t old;

	block(&old);
	__libc_free(p);
	unblock(&old);
}

void *calloc(size_t n, size_t size)
{
	sigset_t old;
	void *p;

	block(&old);
	p = __libc_calloc(n, size);
	unblock(&old);
	return p;
}

void *realloc(void *old_p, size_t size)
{
	sigset_t old;
	void *p;

	block(&old);
	p = __libc_realloc(old_p, size);
	unblock(&old);
	return p;
}

void *memalign(size_t align, size_t size)
{
	sigset_t old;
	void *p;

	block(&old);
	p = __libc_memalign(align, size);
	unblock(&old);
	return p;
}

void *aligned_alloc(size_t align, size_t size)
{
	return memalign(align, size);
}

int posix_memalign(void **p, size_t align, size_t size)
{
	int saved = errno;
	void *got = memalign(align, size);

	errno = saved;
	if (!got)
		return ENOMEM;
	*p = got;
	return 0;
}

/* fork() takes malloc's locks in the C library, past the functions above. */
pid_t fork(void)
{
	sigset_t old;
	pid_t child;

	block(&old);
	child = next_fork();
	unblock(&old);
	return child;
}

__attribute__((constructor)) static void find_fork(void)
{
	void *symbol = dlsym(RTLD_NEXT, "fork");

	memcpy(&next_fork, &symbol, sizeof(symbol));
}
