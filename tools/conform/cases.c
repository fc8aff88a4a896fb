/*
 * All cases, in the order in which they are listed and run. Layer: tools. Called by command.c and
 * case.c.
 */
#include "conform.h"

static const struct conform_case *const tables[] = {
	step_cases, deep_cases, stop_cases, jump_cases, fork_cases, edge_cases, storm_cases,
};

const struct conform_case *conform_case_at(size_t index)
{
	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
		for (const struct conform_case *c = tables[t]; c && c->name; c++) {
			if (index-- == 0)
				return c;
		}
	}
	return NULL;
}
