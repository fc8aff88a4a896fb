/*
 * Making claimed frames accessible, and asking for huge pages. Layer: frame; see frame.h. Called by frame.c where
 * frames are claimed that never were in use.
 *
 * A heap that is small gets a MiB at a time: no huge page fits into what is accessible, so that where the system
 * hands them out unasked, a small program is not charged 2 MiB for a touch of each. A large one asks for them,
 * where what lies before has been filled: what is behind will be, too. It touches one of them at once, which shows what
 * they cost here.
 */
#include "bitmap.h"
#include "frame.h"

#define STEP_SMALL 16U
#define STEP_LARGE FRAMES_IN_HAND
/* From so many accessible bytes on a heap is large. */
#define LARGE_HEAP ((size_t)64 << 20)
/* How many samples are looked at, of how many frames each, and how far one lies from the next. */
#define SAMPLES 12U
#define SAMPLE_FRAMES 4U
#define SAMPLE_STEP 43U
#define HUGE_SIZE ((size_t)2 << 20)
#define HUGE_FRAMES ((uint32_t)(HUGE_SIZE >> FRAME_SHIFT))
/* A huge page takes 0.1 ms; 512 small ones 0.6, which come where there are none; one that the host has yet to find 5. */
#define DEAR_NS 400000U
/* In steps of 4 MiB; four times as many after each that is dear in a row. */
#define FIRST_WAIT 16U
#define LONGEST_WAIT 1024U

static early_data _Atomic size_t committed; /* bytes; counted after the fact: a hint */

static early_data struct huge_pages huge_pages;

static bool heap_is_large(void)
{
	return atomic_load_explicit(&committed, memory_order_relaxed) >= LARGE_HEAP;
}

/* How many frames behind [.., end) to make accessible at once; they are claimed for as long as it takes. */
static uint32_t claim_ahead(struct section *sec, uint32_t end)
{
	uint32_t ahead = (uint32_t)round_up(end, heap_is_large() ? STEP_LARGE : STEP_SMALL);

	ahead = bitmap_next(sec->used, end, ahead, true);
	ahead = bitmap_next(sec->committed, end, ahead, true);
	return ahead > end && bitmap_claim(sec->used, end, ahead - end) ? ahead - end : 0;
}

/*
 * Is what lies before the frame in memory, as far as samples tell? Nine tenths of it: what programs leave untouched
 * at the ends of their objects a huge page would add to what they use.
 */
static bool is_filled_before(struct section *sec, uint32_t index)
{
	size_t size = (size_t)SAMPLE_FRAMES << FRAME_SHIFT, resident = 0;

	if (index < SAMPLES * SAMPLE_STEP)
		return false;
	for (uint32_t i = 1; i <= SAMPLES; i++) {
		uint32_t at = index - i * SAMPLE_STEP;

		if (!bitmap_test(sec->dirty, at, SAMPLE_FRAMES, false))
			return false;
		resident += os_resident(frame_address(sec, at), size);
	}
	return resident >= SAMPLES * size / 10 * 9;
}

bool huge_pages_are_due(struct huge_pages *h)
{
	uint32_t left = atomic_load_explicit(&h->left, memory_order_relaxed);

	if (left)
		atomic_compare_exchange_strong_explicit(&h->left, &left, left - 1,
							memory_order_relaxed, memory_order_relaxed);
	return !left;
}

void huge_pages_note(struct huge_pages *h, uint64_t ns)
{
	uint32_t wait = atomic_load_explicit(&h->wait, memory_order_relaxed), none = 0;

	if (ns <= DEAR_NS) {
		atomic_store_explicit(&h->wait, 0, memory_order_relaxed);
		return;
	}
	wait = wait ? wait : FIRST_WAIT;
	/* Of several threads to which it happens at a time one counts. */
	if (atomic_compare_exchange_strong_explicit(&h->left, &none, wait, memory_order_relaxed,
						    memory_order_relaxed))
		atomic_store_explicit(&h->wait, wait < LONGEST_WAIT ? 4 * wait : wait,
				      memory_order_relaxed);
}

/*
 * Touches the first huge page among n frames and those ahead, if one is whole. False: that was dear. What it touches
 * ahead, and nobody comes to use, is given back as what was used.
 */
static bool try_huge_page(struct section *sec, uint32_t index, uint32_t n, uint32_t ahead)
{
	uint32_t first = (uint32_t)round_up(index, HUGE_FRAMES), end = first + HUGE_FRAMES;
	uint32_t unused = first > index + n ? first : index + n;
	void *page = frame_address(sec, first);
	uint64_t start;

	if (end > index + n + ahead)
		return true;
	os_huge_pages(page, HUGE_SIZE, true);
	start = os_thread_ns();
	if (!os_populate(page, HUGE_SIZE))
		return true;
	if (unused < end)
		bitmap_set(sec->dirty, unused, end - unused);
	huge_pages_note(&huge_pages, os_thread_ns() - start);
	return !atomic_load_explicit(&huge_pages.left, memory_order_relaxed);
}

/* What is touched will be filled soon, as all before was. */
static void ask_for_huge_pages(struct section *sec, uint32_t index, uint32_t n, uint32_t ahead)
{
	if (huge_pages_are_due(&huge_pages) && try_huge_page(sec, index, n, ahead))
		os_huge_pages(frame_address(sec, index), (size_t)(n + ahead) << FRAME_SHIFT, true);
}

bool frame_commit(struct section *sec, uint32_t index, uint32_t n)
{
	void *addr = frame_address(sec, index);
	uint32_t ahead;
	bool done;

	if (bitmap_test(sec->committed, index, n, false))
		return true;
	ahead = claim_ahead(sec, index + n);
	done = ahead && os_commit(addr, (size_t)(n + ahead) << FRAME_SHIFT);
	if (done)
		bitmap_set(sec->committed, index + n, ahead);
	else
		done = os_commit(addr, (size_t)n << FRAME_SHIFT);
	if (done) {
		bitmap_set(sec->committed, index, n);
		atomic_fetch_add_explicit(&committed, (size_t)(n + ahead) << FRAME_SHIFT,
					  memory_order_relaxed);
		if (heap_is_large() && is_filled_before(sec, index))
			ask_for_huge_pages(sec, index, n, ahead);
	}
	if (ahead)
		section_release(sec, index + n, ahead);
	return done;
}
