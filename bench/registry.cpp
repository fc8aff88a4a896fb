// SPDX-License-Identifier: MIT
// Hands the workloads of workload.h to Google Benchmark: the only C++ of the bench.
#include "workload.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>
#include <sys/resource.h>

namespace
{

// Pages that the kernel had to supply: to this thread, or to the process where it runs the row alone.
int64_t count_faults(const setting &at)
{
	rusage usage;

	if (getrusage(at.threads > 1 ? RUSAGE_THREAD : RUSAGE_SELF, &usage) != 0)
		return 0;
	return usage.ru_minflt + usage.ru_majflt;
}

void prepare_untimed(benchmark::State &state, const workload *w, void *own)
{
	state.PauseTiming();
	w->prepare(own);
	state.ResumeTiming();
}

void run_row(benchmark::State &state, const workload *w, size_t arg)
{
	const setting at = {arg, static_cast<unsigned int>(state.thread_index()),
			    static_cast<unsigned int>(state.threads())};
	size_t operations = 0;
	int64_t faults, before;
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
	if (!w->cold)
		w->run(own);
	faults = -count_faults(at);
	for (auto _ : state) {
		if (w->prepare) {
			before = count_faults(at);
			prepare_untimed(state, w, own);
			faults -= count_faults(at) - before;
		}
		operations += w->run(own);
	}
	faults += count_faults(at);
	state.SetItemsProcessed(static_cast<int64_t>(operations));
	// Both are summed over the threads.
	state.counters["operations"] = static_cast<double>(operations);
	state.counters["faults"] = static_cast<double>(faults);
	w->stop(own);
	if (at.threads > 1)
		bench_unpin();
}

benchmark::internal::Benchmark *add_row(const workload *w, size_t arg)
{
	const std::string name = std::string(w->name) + "/" + std::to_string(arg);

	benchmark::internal::Benchmark *row = benchmark::RegisterBenchmark(
		name.c_str(), [w, arg](benchmark::State &state) { run_row(state, w, arg); });

	if (w->runs)
		row->Iterations(static_cast<benchmark::IterationCount>(w->runs))->Repetitions(1);
	if (w->clock == PROCESS_CPU)
		row->MeasureProcessCPUTime();
	return row;
}

// One thread is timed by its own CPU time, which a busy machine disturbs least. Several are timed
// by the clock on the wall: to wait for one another is part of what they cost.
void add_rows(const workload *w, size_t arg, int cores)
{
	if (w->threads & ALONE)
		add_row(w, arg);
	if ((w->threads & ALL_CORES) && cores > 1)
		add_row(w, arg)->Threads(cores)->UseRealTime();
	if (w->threads & TWO)
		add_row(w, arg)->Threads(2)->UseRealTime();
}

void register_all(bool full)
{
	const int cores = bench_processors();

	for (const workload *const *w = workloads; *w; w++) {
		for (const size_t *arg = (*w)->args; *arg; arg++)
			add_rows(*w, *arg, cores);
		for (const size_t *arg = full ? (*w)->full_args : nullptr; arg && *arg; arg++)
			add_rows(*w, *arg, cores);
	}
}

// Takes --full out of the arguments.
bool wants_full(int *argc, char **argv)
{
	char **end = std::remove_if(argv + 1, argv + *argc, [](const char *argument) {
		return std::strcmp(argument, "--full") == 0;
	});
	const bool found = end != argv + *argc;

	*argc = static_cast<int>(end - argv);
	*end = nullptr;
	return found;
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
	const bool full = wants_full(&argc, argv);
	benchmark::Initialize(&argc, argv);
	if (benchmark::ReportUnrecognizedArguments(argc, argv))
		return 1;
	register_all(full);
	benchmark::RunSpecifiedBenchmarks();
	benchmark::Shutdown();
	return 0;
}
