/*
 * A book of address ranges. The fake kernel keeps two beside the heap: what the heap has mapped, and
 * what of it is charged. A call about a range that isn't there ends the test, and what is left at the end
 * can be compared with what should be.
 */
#ifndef USLUB_FAULTS_LEDGER_H
#define USLUB_FAULTS_LEDGER_H

#include <stddef.h>
#include <stdint.h>

#define LEDGER_RANGES 4096

struct range {
	uintptr_t start, end;
};

struct ledger {
	struct range ranges[LEDGER_RANGES]; /* sorted, none touching the next */
	size_t count;
};

/* Nothing of the range may be there. `what` names the call in the message. */
void ledger_add(struct ledger *l, const char *what, const void *addr, size_t size);
/* All of the range must be there. */
void ledger_remove(struct ledger *l, const char *what, const void *addr, size_t size);
void ledger_need(const struct ledger *l, const char *what, const void *addr, size_t size);

/* Whatever of the range is there, or isn't. */
void ledger_fill(struct ledger *l, const void *addr, size_t size);
void ledger_clear(struct ledger *l, const void *addr, size_t size);
/* How much of the range is there. */
size_t ledger_overlap(const struct ledger *l, const void *addr, size_t size);

size_t ledger_bytes(const struct ledger *l);

#endif
