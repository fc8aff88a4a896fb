/*
 * confined bind|preferred|interleave NODE[,NODE...] PROGRAM [ARGUMENT...]: runs the program under a memory policy of
 * the kernel's, as numactl does. Role: in the guest of the tests in QEMU, run by nodes.py.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
	const char *name;
	int mode;
} policies[] = {{"preferred", 1}, {"bind", 2}, {"interleave", 3}};

static int mode_of(const char *name)
{
	for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++)
		if (strcmp(policies[i].name, name) == 0)
			return policies[i].mode;
	return -1;
}

static unsigned long nodes_of(const char *list)
{
	unsigned long nodes = 0;

	while (*list >= '0' && *list <= '9') {
		char *end;

		nodes |= 1UL << strtoul(list, &end, 10);
		list = *end == ',' ? end + 1 : end;
	}
	return nodes;
}

int main(int argc, char **argv)
{
	unsigned long nodes = argc > 3 ? nodes_of(argv[2]) : 0;

	if (!nodes || mode_of(argv[1]) < 0) {
		fprintf(stderr,
			"usage: confined bind|preferred|interleave NODES PROGRAM [ARGUMENT...]\n");
		return 2;
	}
	if (syscall(SYS_set_mempolicy, mode_of(argv[1]), &nodes, sizeof(nodes) * 8)) {
		perror("confined: set_mempolicy");
		return 1;
	}
	execvp(argv[3], argv + 3);
	perror(argv[3]);
	return 1;
}
