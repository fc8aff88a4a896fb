/*
 * Users on Linux. Layer: os; see os_user.h.
 */
#include "os_user.h"
#include "os.h"
#include "os_file.h"
#include "os_syscall.h"
#include "text.h"

static uint32_t read_numbers(const char *at, const char *end, uint32_t *numbers, uint32_t most)
{
	uint32_t n = 0;

	while (at < end && *at != '\n' && n < most) {
		uint32_t value = 0;

		if (*at < '0' || *at > '9') {
			at++;
			continue;
		}
		for (; at < end && *at >= '0' && *at <= '9'; at++)
			value = value * 10 + (uint32_t)(*at - '0');
		numbers[n++] = value;
	}
	return n;
}

/* Behind `\nNAME:`; `end`: there is no such line. */
static const char *find_line(const char *at, const char *end, const char *name)
{
	size_t n = __builtin_strlen(name);

	for (; at + n < end; at++) {
		if (__builtin_memcmp(at, name, n) == 0)
			return at + n;
	}
	return end;
}

bool os_user_read(struct os_user *user)
{
	struct text path = {0};
	char buf[2048];
	const char *end;
	long n;

	text_add(&path, "/proc/");
	text_add_number(&path, (uint64_t)os_getpid());
	text_add_n(&path, "/status", sizeof("/status"));
	n = os_read_file(path.buf, buf, sizeof(buf));
	if (n < 0)
		return false;
	end = buf + n;
	__builtin_memset(user, 0, sizeof(*user));
	user->nr_groups =
		read_numbers(find_line(buf, end, "\nGroups:"), end, user->groups, OS_MAX_GROUPS);
	return read_numbers(find_line(buf, end, "\nUid:"), end, user->uid, 3) == 3 &&
	       read_numbers(find_line(buf, end, "\nGid:"), end, user->gid, 3) == 3;
}

bool os_user_is_privileged(const struct os_user *user)
{
	return user->uid[0] == 0 || user->uid[1] == 0 || user->uid[2] == 0 ||
	       user->uid[0] != user->uid[1] || user->uid[1] != user->uid[2];
}

bool os_user_is(const struct os_user *one, const struct os_user *other)
{
	return __builtin_memcmp(one, other, sizeof(*one)) == 0;
}

/* The user last: it takes the right to do the others. */
bool os_user_become(const struct os_user *user)
{
	os_syscall3(SYS_setgroups, user->nr_groups, (long)user->groups, 0);
	return !os_is_error(os_syscall3(SYS_setresgid, user->gid[0], user->gid[1], user->gid[2])) &&
	       !os_is_error(os_syscall3(SYS_setresuid, user->uid[0], user->uid[1], user->uid[2]));
}
