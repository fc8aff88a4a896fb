// SPDX-License-Identifier: MIT
// Hands the workloads of workload.h to Google Benchmark: the only C++ of the bench.
#include "workload.h"

#include <benchmark/benchmark.h>

#include <cstdio>
#include <string>

namespace
{

void run_row(benchmark::State &state, const workload *w, size_t arg)
{
	const setting at = {arg, static_cast<unsigned int>(state.thread_index()),
			    static_cast<unsigned int>(state.threads())};
	size_t operations = 0;
	void *own;

	if (at.threads > 1)
		bench_pin(at.thread);
	own = w->start(&at);
	if (!own) {
		state.SkipWithError("this malloc can't run it");
		return;
	}

	// Once unmeasured: a slow row is timed over few runs, and the first one faults its pages in.
	if (w->prepare)
		w->prepare(own);
	w->run(own);
	for (auto _ : state) {
		if (w->prepare) {
			state.PauseTiming();
			w->prepare(own);
			state.ResumeTiming();
		}
		operations += w->run(own);
	}
	state.SetItemsProcessed(static_cast<int64_t>(operations));
	w->stop(own);
	if (at.threads > 1)
		bench_unpin();
}

benchmark::internal::Benchmark *add_row(const workload *w, size_t arg)
{
	const std::string name = std::string(w->name) + "/" + std::to_string(arg);

	return benchmark::RegisterBenchmark(
		name.c_str(), [w, arg](benchmark::State &state) { run_row(state, w, arg); });
}

// One thread is timed by its own CPU time, which a busy machine disturbs least. Several are timed
// by the clock on the wall: to wait for one another is part of what they cost.
void register_all()
{
	const int cores = bench_processors();

	for (const workload *const *w = workloads; *w; w++) {
		for (const size_t *arg = (*w)->args; *arg; arg++) {
			if ((*w)->threads & ALONE)
				add_row(*w, *arg);
			if (((*w)->threads & ALL_CORES) && cores > 1)
				add_row(*w, *arg)->Threads(cores)->UseRealTime();
			if ((*w)->threads & TWO)
				add_row(*w, *arg)->Threads(2)->UseRealTime();
		}
	}
}

} // namespace

int main(int argc, char **argv)
{
	const char *provider = malloc_provider();

	if (!provider) {
		std::fputs(
			"uslub_bench: malloc, free, calloc and realloc do not come from one file\n",
			stderr);
		return 1;
	}
	benchmark::AddCustomContext("malloc_provider", provider);
	benchmark::AddCustomContext("compiler", __VERSION__);
	benchmark::Initialize(&argc, argv);
	if (benchmark::ReportUnrecognizedArguments(argc, argv))
		return 1;
	register_all();
	benchmark::RunSpecifiedBenchmarks();
	benchmark::Shutdown();
	return 0;
}
