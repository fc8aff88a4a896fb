/* A program of a user's: malloc and a cache of its own. test_install.py builds and runs it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uslub/uslub.h>

struct point {
	double x, y, z;
};

/* A name of the core's too; the library's own must not collide with it. */
int frame_alloc(int frames);
int frame_alloc(int frames)
{
	return frames + 1;
}

int main(void)
{
	struct kmem_cache *points = kmem_cache_create("point", sizeof(struct point), 16, 0, NULL);
	struct point *point = points ? kmem_cache_alloc(points, 0) : NULL;
	char *text = malloc(40);

	if (!point || !text || frame_alloc(1) != 2)
		return EXIT_FAILURE;
	point->x = 1.5;
	strcpy(text, "consumer works");
	printf("%s %.1f\n", text, point->x);
	kmem_cache_free(points, point);
	kmem_cache_destroy(points);
	free(text);
	return EXIT_SUCCESS;
}
