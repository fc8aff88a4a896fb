/*
 * write(2) and its results; the clock. Raw system calls: none of them is a cancellation point.
 * Layer: siglog. Called by queue.c, drain.c, rescue.c.
 */
#include "internal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int64_t siglog_now(void)
{
	struct timespec now = {0, 0};

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void siglog_sleep(void)
{
	struct timespec pause = {0, 1000000};

	syscall(SYS_ppoll, NULL, 0, &pause, NULL, 0);
}

/* An error counts as ready: the write will tell it. */
static bool wait_ready(int fd, int64_t deadline)
{
	struct pollfd wanted = {.fd = fd, .events = POLLOUT};

	for (;;) {
		int64_t left = deadline ? deadline - siglog_now() : 0;
		struct timespec timeout = {0, 0};
		long n;

		if (left > 0) {
			timeout.tv_sec = (time_t)(left / 1000);
			timeout.tv_nsec = (long)(left % 1000 * 1000000);
		}
		n = syscall(SYS_ppoll, &wanted, 1, &timeout, NULL, 0);
		if (n > 0 || (n < 0 && errno != EINTR))
			return true;
		if (n == 0 && left <= 0)
			return false;
	}
}

bool siglog_ready(void)
{
	return !siglog_state.stream || wait_ready(siglog_state.fd, 0);
}

static ssize_t write_once(int fd, const struct iovec *iov, unsigned int count)
{
	ssize_t n;

	do
		n = syscall(SYS_writev, fd, iov, (unsigned long)count);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* A pipe without a reader must not end the process: the signal of this write is taken back. */
static ssize_t write_stream(int fd, const struct iovec *iov, unsigned int count)
{
	const uint64_t pipe_signal = UINT64_C(1) << (SIGPIPE - 1);
	const struct timespec none = {0, 0};
	uint64_t before = 0, pending = 0;
	ssize_t n;

	syscall(SYS_rt_sigprocmask, SIG_BLOCK, &pipe_signal, &before, sizeof(before));
	syscall(SYS_rt_sigpending, &pending, sizeof(pending));
	n = write_once(fd, iov, count);
	if (n == -EPIPE && !(pending & pipe_signal))
		syscall(SYS_rt_sigtimedwait, &pipe_signal, NULL, &none, sizeof(pipe_signal));
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof(before));
	return n;
}

ssize_t siglog_write(const struct iovec *iov, unsigned int count, int64_t deadline)
{
	int fd = siglog_state.fd;
	ssize_t n;

	if (fd < 0)
		return -EBADF;
	do {
		if (!siglog_state.stream)
			n = write_once(fd, iov, count);
		else if (!wait_ready(fd, deadline))
			return -EAGAIN;
		else
			n = write_stream(fd, iov, count);
		/* Ready, but not for so much: others write to the same pipe. */
		if (n == -EAGAIN && deadline)
			siglog_sleep();
	} while (n == -EAGAIN && deadline && siglog_now() < deadline);
	if (n != -EAGAIN)
		siglog_state.error = n < 0 ? (int)-n : 0;
	return n;
}
