/* The core's calls behind the workload, and the books; see core_heap.h. */
#include "core_heap.h"

#include <sys/wait.h>

#include "check.h"
#include "core/bitmap.h"
#include "core/frame.h"
#include "core/kmalloc.h"
#include "core/stats.h"
#include "fake_os.h"

#define SPECIAL_SIZE 700
#define CHILD_SECONDS 100

static struct kmem_cache *special_cache;

static void *core_alloc(size_t size)
{
	return kmalloc(size);
}

static void core_free(void *p)
{
	kfree(p);
}

static void core_trim(void)
{
	kmalloc_trim();
}

static void core_age(void)
{
	void *p;

	/* Two ticks: one marks what is free, the next gives it back. */
	for (int i = 0; i < 3; i++) {
		fake_os.clock_ms += 1001;
		p = kmalloc(FRAME_SIZE);
		if (p)
			kfree(p);
	}
}

static void construct(void *object)
{
	memset(object, 0x5a, SPECIAL_SIZE);
}

static void *core_special(void)
{
	if (!special_cache) {
		const struct cache_args args = {"special", SPECIAL_SIZE, MIN_ALIGN, 0, construct};

		special_cache = cache_create(&args);
		CHECK(special_cache);
	}
	return cache_alloc(special_cache);
}

const struct heap_ops core_heap = {
	.alloc = core_alloc,
	.zalloc = kzalloc,
	.aligned = kmalloc_aligned,
	.resize = krealloc,
	.release = core_free,
	.trim = core_trim,
	.age = core_age,
	.special = core_special,
	.release_special = core_free,
	.special_size = SPECIAL_SIZE,
};

size_t core_heap_frames(void)
{
	struct section *sec;
	size_t frames = 0;

	for_each_section(sec, nr) {
		for (uint32_t w = 0; w < SECTION_WORDS; w++)
			frames += (size_t)__builtin_popcountll(atomic_load(&sec->used[w]) &
							       atomic_load(&sec->reserved[w]));
	}
	return frames;
}

static size_t sections_bytes(void)
{
	size_t page = os_page_size(), bytes = 0;

	for (size_t i = 0; i < NR_SECTIONS; i++) {
		struct section *sec = section_find((uintptr_t)i << SECTION_SHIFT);

		if (!sec)
			continue;
		bytes += (sizeof(*sec) + page - 1) & ~(page - 1);
		for (size_t k = 0; k < SECTION_FRAMES / MAPS_FRAMES; k++)
			bytes += sec->maps[k] ? sizeof(struct slab_maps) : 0;
	}
	return bytes;
}

void core_heap_check_empty(void)
{
	struct heap_stats heap;
	size_t frames, expected, mapped, stuck;

	if (special_cache) {
		cache_destroy(special_cache);
		special_cache = NULL;
	}
	kmalloc_trim();
	heap_stats(&heap, NULL);
	frames = core_heap_frames();
	CHECK_THAT(!heap.small_used, "%llu bytes of small objects left",
		   (unsigned long long)heap.small_used);
	CHECK_THAT(!heap.small_free, "%llu bytes of empty slabs left",
		   (unsigned long long)heap.small_free);
	CHECK_THAT(!heap.runs && !heap.mapped, "%llu runs and %llu mappings left",
		   (unsigned long long)heap.runs, (unsigned long long)heap.mapped);
	CHECK_THAT(!heap.free_frames, "%llu free frames not given back",
		   (unsigned long long)heap.free_frames);
	CHECK_THAT(frames == heap.threads, "%zu frames are in use, %llu of them by threads", frames,
		   (unsigned long long)heap.threads);
	/* Address space: the frames', the metadata's, and the page that a fork wipes. */
	expected = heap.reserved + sections_bytes();
	mapped = fake_os_mapped();
	CHECK_THAT(mapped == expected || mapped == expected + os_page_size() ||
			   (fake_os.unmap_refused && mapped > expected),
		   "%zu KiB are mapped instead of %zu", mapped >> 10, expected >> 10);
	if (fake_os.purge_refused)
		return;
	stuck = fake_os_stuck(frame_is_ours);
	CHECK_THAT(!stuck, "%zu KiB are resident where nothing lives", stuck >> 10);
}

int in_child(void (*fn)(void *arg), void *arg)
{
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		alarm(CHILD_SECONDS);
		fn(arg);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}
