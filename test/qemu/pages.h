/* Where pages of memory are, by move_pages(2), which only asks here. Used by the programs that run in the guest. */
#ifndef USLUB_TEST_QEMU_PAGES_H
#define USLUB_TEST_QEMU_PAGES_H

#include <stddef.h>

#define PAGES_NODES 3U

/* Pages of objects, counted for each object: one that has two objects counts twice. */
struct placement {
	unsigned long on[PAGES_NODES];
	unsigned long absent; /* not in memory */
	unsigned long failed; /* anything else that the kernel says */
};

/* Pages that wait to be asked about together. Begins as zeros. */
struct page_batch {
	struct placement *to;
	size_t n;
	void *pages[512];
};

/* Counts the pages that the object lies on; what is counted last may only be there after pages_end(). */
void pages_count(struct page_batch *batch, void *object, size_t size);
void pages_end(struct page_batch *batch);

unsigned long placement_total(const struct placement *p);
/* `WORD 0=... 1=... 2=... absent=... failed=...` */
void placement_print(const char *word, const struct placement *p);

#endif
