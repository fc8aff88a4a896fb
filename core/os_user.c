/*
 * Users on Linux. Layer: os; see os_user.h.
 */
#include "os_user.h"
#include "os.h"
#include "os_file.h"
#include "os_syscall.h"
#include "text.h"

#include <linux/capability.h>
#include <sys/prctl.h>

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

static uint64_t read_hex(const char *at, const char *end)
{
	uint64_t value = 0;

	while (at < end && (*at == ' ' || *at == '\t'))
		at++;
	for (; at < end && *at != '\n'; at++)
		value = value << 4 | (uint64_t)(*at <= '9' ? *at - '0' : *at - 'a' + 10);
	return value;
}

bool os_user_read(struct os_user *user)
{
	struct text path = {0};
	/* Before the capabilities stand all groups. */
	char buf[8192];
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
	user->capabilities = read_hex(find_line(buf, end, "\nCapPrm:"), end);
	return read_numbers(find_line(buf, end, "\nUid:"), end, user->uid, 3) == 3 &&
	       read_numbers(find_line(buf, end, "\nGid:"), end, user->gid, 3) == 3;
}

bool os_user_is_privileged(const struct os_user *user)
{
	return user->uid[0] == 0 || user->uid[1] == 0 || user->uid[2] == 0 ||
	       user->uid[0] != user->uid[1] || user->uid[1] != user->uid[2] ||
	       user->capabilities != 0;
}

bool os_user_is(const struct os_user *one, const struct os_user *other)
{
	return __builtin_memcmp(one, other, sizeof(*one)) == 0;
}

static bool limit_capabilities(uint64_t to)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct now[2] = {{0, 0, 0}, {0, 0, 0}},
				      few[2] = {{0, 0, 0}, {0, 0, 0}};

	if (os_is_error(os_syscall3(SYS_capget, (long)&head, (long)now, 0)))
		return false;
	few[0].permitted = few[0].effective = now[0].permitted & (uint32_t)to &
					      (1U << CAP_SETUID | 1U << CAP_SETGID);
	return !os_is_error(os_syscall3(SYS_capset, (long)&head, (long)few, 0));
}

/* The user last: it takes the right to do the others. */
static bool set_user(const struct os_user *user)
{
	os_syscall3(SYS_setgroups, user->nr_groups, (long)user->groups, 0);
	return !os_is_error(os_syscall3(SYS_setresgid, user->gid[0], user->gid[1], user->gid[2])) &&
	       !os_is_error(os_syscall3(SYS_setresuid, user->uid[0], user->uid[1], user->uid[2])) &&
	       limit_capabilities(user->capabilities);
}

bool os_user_become(const struct os_user *user)
{
	/* What a thread becomes takes this from all of the process, which may just have asked for it again. */
	bool dumpable = os_syscall3(SYS_prctl, PR_GET_DUMPABLE, 0, 0) == 1;
	bool done = set_user(user);

	if (dumpable)
		os_syscall3(SYS_prctl, PR_SET_DUMPABLE, 1, 0);
	return done;
}
