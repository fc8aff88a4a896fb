/* Loaded with RTLD_DEEPBIND it gets malloc and free from libc, ahead of any preload. */
#include <stdlib.h>
#include <string.h>

char *plugin_strdup(const char *text);
void *plugin_malloc(size_t n);
void *plugin_realloc(void *p, size_t n);
void plugin_free(void *p);

char *plugin_strdup(const char *text)
{
	return strdup(text);
}

void *plugin_malloc(size_t n)
{
	return malloc(n);
}

void *plugin_realloc(void *p, size_t n)
{
	return realloc(p, n);
}

void plugin_free(void *p)
{
	free(p);
}
