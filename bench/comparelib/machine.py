# SPDX-License-Identifier: MIT
"""What the figures were measured on."""

import os
import platform
import re
from datetime import datetime, timezone
from pathlib import Path

from comparelib.allocators import package_version


def first_match(path: str, pattern: str) -> str:
    try:
        found = re.search(pattern, Path(path).read_text(), re.MULTILINE)
    except OSError:
        return "unknown"
    return found.group(1) if found else "unknown"


def describe_machine() -> dict[str, str]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    sys = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": platform.machine(),
        "cpu": first_match("/proc/cpuinfo", r"^model name\s*:\s*(.+)$"),
        "processors": str(os.cpu_count()),
        "memory": f"{memory / 2**30:.1f} GiB",
        "page size": f"{os.sysconf('SC_PAGE_SIZE') // 1024} KiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "huge pages": first_match("/sys/kernel/mm/transparent_hugepage/enabled", r"\[(\w+)\]"),
        "governor": first_match(sys, r"(\w+)"),
        "load before": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "harness": package_version("libbenchmark1debian"),
    }


def busy_warning() -> str:
    """Something to say where other programs keep the processors busy already."""
    load = os.getloadavg()[0]
    if load < 0.5 * (os.cpu_count() or 1):
        return ""
    return f"the machine is busy (load {load:.2f}): expect wide spreads"
