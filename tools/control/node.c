/*
 * `uslub node`: a process's nodes as a table, and how far one is with going offline. Layer: tools. Called by uslub.c.
 */
#include "control.h"
#include "client.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char usage[] =
	"Usage: uslub node [OPTION]... PID\n"
	"Draws the nodes of a process: state, size, what its heap uses there, allocations that hit and\n"
	"missed, cpus, distance to the nodes that are online. While a node goes offline it is followed\n"
	"until it is done.\n"
	"  --watch        draws again twice a second, until the process ends\n"
	"  --dir DIR      where the process has its socket, instead of what its environment says\n";

#define NODES "devices/system/node/"
#define BAR 20U
#define TURN_MS 500

struct node {
	unsigned int number;
	char state[16], cpus[64], distance[64];
	uint64_t size, used, hit, miss; /* sizes in KiB */
};

/* The file's text, for the caller to free; an empty one where it can't be read, with *error set. */
static char *read_file(const struct control_peer *peer, const char *path, int *error)
{
	struct client_text answer;
	int now = client_ask(peer->dir, peer->pid, USLUB_CONTROL_READ, path, NULL, &answer);

	if (!now)
		return answer.data;
	*error = now;
	return calloc(1, 1);
}

static char *read_node_file(const struct control_peer *peer, unsigned int node, const char *name,
			    int *error)
{
	char path[128];

	snprintf(path, sizeof(path), NODES "node%u/%s", node, name);
	return read_file(peer, path, error);
}

/* One line of what a terminal can show, cut off where it is too long for a column. */
static void read_word(const struct control_peer *peer, struct node *node, const char *name,
		      char *word, size_t size, int *error)
{
	char *text = read_node_file(peer, node->number, name, error);
	size_t n = 0;

	while (text && text[n] >= ' ' && text[n] <= '~')
		n++;
	if (n < size)
		snprintf(word, size, "%.*s", (int)n, text ? text : "");
	else
		snprintf(word, size, "%.*s...", (int)(size - 4), text);
	free(text);
}

static uint64_t number_behind(const char *text, const char *what)
{
	const char *at = text ? strstr(text, what) : NULL;

	return at ? strtoull(at + strlen(what), NULL, 10) : 0;
}

static int read_node(const struct control_peer *peer, struct node *node)
{
	int error = 0;
	char *text;

	read_word(peer, node, "state", node->state, sizeof(node->state), &error);
	read_word(peer, node, "cpulist", node->cpus, sizeof(node->cpus), &error);
	read_word(peer, node, "distance", node->distance, sizeof(node->distance), &error);
	text = read_node_file(peer, node->number, "meminfo", &error);
	node->size = number_behind(text, "MemTotal:");
	node->used = number_behind(text, "MemUsed:");
	free(text);
	text = read_node_file(peer, node->number, "numastat", &error);
	node->hit = number_behind(text, "numa_hit ");
	node->miss = number_behind(text, "numa_miss ");
	free(text);
	return error;
}

static void print_size(uint64_t kib)
{
	static const char units[] = "KMGT";
	unsigned int unit = 0;

	while (kib >= 10240 && unit < sizeof(units) - 2) {
		kib = (kib + 512) / 1024;
		unit++;
	}
	printf(" %7" PRIu64 "%c", kib, units[unit]);
}

static void print_node(const struct node *node)
{
	uint64_t filled = node->size ? (node->used * BAR + node->size - 1) / node->size : 0;

	printf("%4u  %-13s", node->number, node->state);
	print_size(node->size);
	print_size(node->used);
	printf("  [");
	for (unsigned int i = 0; i < BAR; i++)
		putchar(i < filled ? '#' : '.');
	printf("] %9" PRIu64 " %9" PRIu64 "  %-10s %s\n", node->hit, node->miss, node->cpus,
	       node->distance);
}

/* Draws all; *leaving says how many are going offline. */
static int draw(const struct control_peer *peer, unsigned int *leaving)
{
	struct client_text answer;
	struct client_entry entry;
	const char *at;
	int error = client_ask(peer->dir, peer->pid, USLUB_CONTROL_LIST, NODES, NULL, &answer);

	*leaving = 0;
	if (error)
		return error;
	printf("NODE  %-13s %8s %8s  %-22s %9s %9s  %-10s %s\n", "STATE", "SIZE", "USED", "", "HIT",
	       "MISS", "CPUS", "DISTANCE");
	at = answer.data;
	while (!error && client_next_entry(&at, &entry)) {
		struct node node = {.number = 0};

		if (sscanf(entry.name, "node%u", &node.number) != 1)
			continue;
		error = read_node(peer, &node);
		*leaving += strcmp(node.state, "going-offline") == 0;
		if (!error)
			print_node(&node);
	}
	free(answer.data);
	fflush(stdout);
	return error;
}

int node_main(int argc, char **argv)
{
	static const struct timespec turn = {0, TURN_MS * 1000000L};
	const char *home = isatty(STDOUT_FILENO) ? "\033[H\033[J" : "\n";
	struct control_peer peer;
	bool watch = false;
	unsigned int leaving;
	int error;

	control_options(argc, argv, usage, 'w', &watch, &peer);
	if (argc - optind != 1) {
		fputs(usage, stderr);
		return 2;
	}
	if (!control_find_peer("node", argv[optind], &peer))
		return 1;
	if (watch)
		fputs(home, stdout);
	while (!(error = draw(&peer, &leaving)) && (watch || leaving)) {
		nanosleep(&turn, NULL);
		fputs(home, stdout);
	}
	/* Watched to its end. */
	if (watch && (error == ESRCH || error == ENOENT || error == EPIPE || error == ECONNRESET))
		return 0;
	return error ? control_failed("node", peer.pid, error) : 0;
}
