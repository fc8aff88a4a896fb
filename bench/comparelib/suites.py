# SPDX-License-Identifier: MIT
"""The suites that compare knows."""

import importlib
from dataclasses import dataclass
from types import ModuleType


@dataclass(frozen=True)
class Suite:
    """Its module has add_arguments(parser), and run(options) that returns an exit status."""

    name: str
    about: str

    def module(self) -> ModuleType:
        return importlib.import_module(f"comparelib.{self.name}")


SUITES = {suite.name: suite for suite in (
    Suite("micro", "single calls, in time; what is taken when no suite is named"),
    Suite("programs", "whole programs on real input: time and memory"),
    Suite("memory", "resident memory: over time, of idle threads, after a peak, of each object"),
    Suite("tail", "the rare long calls: percentiles of malloc and of free under load"),
    Suite("startup", "what a preloaded malloc adds to the start of a program"),
)}

USUAL = "micro"
ALL = "all"
