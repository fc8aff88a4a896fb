/*
 * Whose the process is. Layer: os. Called by control_service.c.
 */
#ifndef USLUB_OS_USER_H
#define USLUB_OS_USER_H

#include <stdbool.h>
#include <stdint.h>

#define OS_MAX_GROUPS 64U

/* Of a process's first thread, which the C library changes with all that it knows. */
struct os_user {
	uint32_t uid[3], gid[3]; /* real, effective, saved */
	uint32_t groups[OS_MAX_GROUPS];
	uint32_t nr_groups;
	uint64_t capabilities; /* permitted */
};

/* False: it can't be read. */
bool os_user_read(struct os_user *user);
/* Has it rights to lose? */
bool os_user_is_privileged(const struct os_user *user);
bool os_user_is(const struct os_user *one, const struct os_user *other);
/*
 * Makes the calling thread, and no other, that user's. Of capabilities it keeps, where the user has them, those that
 * are needed to become another user. False: it is not that user's.
 */
bool os_user_become(const struct os_user *user);

#endif
