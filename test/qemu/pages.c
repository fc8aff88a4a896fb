/* Where pages are. Role: part of the program of the tests in QEMU; called by placed.c and workers.c. */
#include "pages.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096UL
#define BATCH (sizeof(((struct page_batch *)NULL)->pages) / sizeof(void *))

/* A page that is just being moved is nowhere for a moment: asked again for a tenth of a second. */
static int ask_again(void *page, int status)
{
	for (int tries = 0; tries < 100 && (status == -ENOENT || status == -EBUSY); tries++) {
		usleep(1000);
		syscall(SYS_move_pages, 0, 1UL, &page, NULL, &status, 0);
	}
	return status;
}

static void count_status(struct placement *to, int status)
{
	if (status >= 0 && (unsigned int)status < PAGES_NODES)
		to->on[status]++;
	else if (status == -ENOENT)
		to->absent++;
	else
		to->failed++;
}

void pages_end(struct page_batch *batch)
{
	int status[BATCH];

	if (batch->n && syscall(SYS_move_pages, 0, batch->n, batch->pages, NULL, status, 0)) {
		perror("move_pages");
		abort();
	}
	for (size_t i = 0; i < batch->n; i++)
		count_status(batch->to, ask_again(batch->pages[i], status[i]));
	batch->n = 0;
}

void pages_count(struct page_batch *batch, void *object, size_t size)
{
	char *page = (char *)object - (uintptr_t)object % PAGE;

	for (; page < (char *)object + size; page += PAGE) {
		batch->pages[batch->n++] = page;
		if (batch->n == BATCH)
			pages_end(batch);
	}
}

unsigned long placement_total(const struct placement *p)
{
	return p->on[0] + p->on[1] + p->on[2] + p->absent + p->failed;
}

void placement_print(const char *word, const struct placement *p)
{
	printf("%s 0=%lu 1=%lu 2=%lu absent=%lu failed=%lu\n", word, p->on[0], p->on[1], p->on[2],
	       p->absent, p->failed);
}
