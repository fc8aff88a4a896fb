/*
 * The calls of nolock.h, and the accounts of uslub.h: arguments checked, errno set. Layer: preload. Called by
 * programs that link the library.
 */
#include "preload.h"

#include "core/kmalloc.h"
#include "core/nolock.h"
#include "include/uslub/nolock.h"

#include <string.h>

#define ACCOUNT_SHIFT 8
#define KNOWN_FLAGS (USLUB_ZERO | USLUB_ACCOUNT(0xff))

EXPORT void *uslub_malloc_nolock(size_t size, unsigned int flags, int node)
{
	unsigned int account = flags >> ACCOUNT_SHIFT;

	if (flags & ~KNOWN_FLAGS || (account && !account_exists(account))) {
		errno = EINVAL;
		return NULL;
	}
	return or_enomem(
		kmalloc_nolock(size, account, flags & USLUB_ZERO, kmalloc_find_node(node)));
}

EXPORT void uslub_free_nolock(void *p)
{
	kfree_nolock(p);
}

EXPORT int uslub_account_create(const char *name)
{
	uint32_t account;

	if (!name || !*name || strlen(name) > ACCOUNT_NAME_MAX) {
		errno = EINVAL;
		return -1;
	}
	account = account_create(name);
	if (!account) {
		errno = ENOSPC;
		return -1;
	}
	return (int)account;
}

EXPORT int uslub_account_read(int account, struct uslub_account *usage)
{
	if (account <= 0 || !account_exists((uint32_t)account)) {
		errno = EINVAL;
		return -1;
	}
	account_read((uint32_t)account, &usage->objects, &usage->bytes);
	return 0;
}
