// SPDX-License-Identifier: MIT
/* A library without anything in it: what preloading costs by itself. For bench/compare startup. */

__attribute__((visibility("default"))) int uslub_bench_empty;
