// SPDX-License-Identifier: MIT
/* What the gdb case steps through: a list that threads fill. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct entry {
	struct entry *next;
	int value;
	char text[40];
};

static struct entry *list;
static int watched;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void push(int value)
{
	struct entry *entry = malloc(sizeof(*entry));

	if (!entry)
		abort();
	entry->value = value;
	snprintf(entry->text, sizeof(entry->text), "entry %d", value);
	pthread_mutex_lock(&lock);
	entry->next = list;
	list = entry;
	pthread_mutex_unlock(&lock);
}

static void *fill(void *argument)
{
	int *first = argument;
	int i;

	for (i = 0; i < 100; i++)
		push(*first + i);
	return NULL;
}

static int drain(void)
{
	int sum = 0;

	while (list) {
		struct entry *entry = list;

		list = entry->next;
		sum += entry->value;
		free(entry);
	}
	return sum;
}

int main(void)
{
	pthread_t threads[4];
	int first[4], i;

	push(1);
	push(2);
	for (i = 0; i < 3; i++)
		watched = i * 10;
	for (i = 0; i < 4; i++) {
		first[i] = i * 1000;
		pthread_create(&threads[i], NULL, fill, &first[i]);
	}
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	printf("sum %d\n", drain());
	return 0;
}
