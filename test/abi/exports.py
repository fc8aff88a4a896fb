#!/usr/bin/env python3
"""What libuslub.so shows to the loader: its names, what it needs, how it reaches its TLS."""

import argparse
import re
import subprocess
import sys

import harness

# Every malloc interface of glibc 2.36 and of C23.
INTERFACE = set(
    """malloc free calloc realloc aligned_alloc posix_memalign memalign valloc pvalloc
    malloc_usable_size cfree free_sized free_aligned_sized mallinfo mallinfo2 malloc_trim
    malloc_stats malloc_info mallopt""".split()
)
# glibc's own reach us through malloc.
NOT_OURS = {"reallocarray", "strdup", "strndup", "asprintf", "getline"}
OPERATOR = re.compile(r"_Z(n[wa]|d[la])")
MAX_TLS = 64


def output_of(*words):
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    harness.check(done.returncode == 0, f"{words[0]}: {done.stderr}")
    return done.stdout


def names_in_map(path):
    """The global names of a version script that gives no version a name and has no patterns."""
    with open(path, encoding="utf-8") as file:
        text = re.sub(r"/\*.*?\*/|#[^\n]*", "", file.read(), flags=re.DOTALL)
    blocks = re.findall(r"([\w.]*)\s*\{(.*?)\}", text, re.DOTALL)
    harness.check(len(blocks) == 1, f"{len(blocks)} version nodes instead of one")
    version, block = blocks[0]
    # A named version would hide our names from programs that ask for glibc's.
    harness.check(not version, f"the names get the version {version}")
    parts = re.split(r"\b(global|local)\s*:", block)
    harness.check(not parts[0].strip(), f"names before a scope: {parts[0].strip()}")
    scopes = {"global": set(), "local": set()}
    for scope, names in zip(parts[1::2], parts[2::2]):
        scopes[scope] |= {name.strip() for name in names.split(";") if name.strip()}
    harness.check(scopes["local"] == {"*"}, f"local is {scopes['local']}, and not *")
    patterns = [name for name in scopes["global"] if not re.fullmatch(r"\w+", name)]
    harness.check(not patterns, f"not plain names: {patterns}")
    return scopes["global"]


def exported(nm, path):
    lines = output_of(nm, "-D", "--defined-only", path).splitlines()
    return {line.split()[-1] for line in lines if line.strip()}


def check_names(args):
    ours = exported(args.nm, args.lib)
    listed = names_in_map(args.map)
    harness.check(ours == listed, f"exported but not listed: {sorted(ours - listed)}; "
                                  f"listed but not exported: {sorted(listed - ours)}")
    harness.check(INTERFACE <= ours, f"missing: {sorted(INTERFACE - ours)}")
    harness.check(not NOT_OURS & ours, f"must not be exported: {sorted(NOT_OURS & ours)}")
    print(f"{len(ours)} names, as listed")
    return ours


def check_operators(args, ours):
    theirs = {name.split("@")[0] for name in exported(args.nm, args.libstdcxx)}
    theirs = {name for name in theirs if OPERATOR.match(name)}
    mine = {name for name in ours if OPERATOR.match(name)}
    harness.check(len(theirs) >= 20, f"only {len(theirs)} operators in {args.libstdcxx}")
    harness.check(theirs == mine, f"libstdc++ has, we have not: {sorted(theirs - mine)}; "
                                  f"we have in excess: {sorted(mine - theirs)}")
    print(f"{len(mine)} operators new and delete, as in libstdc++")


def check_dynamic(args):
    text = output_of(args.readelf, "-dW", args.lib)
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", text)
    extra = [name for name in needed if name != "libc.so.6" and not name.startswith("ld-linux")]
    harness.check("libc.so.6" in needed and not extra, f"needs {needed}")
    soname = re.findall(r"\(SONAME\).*\[(.*)\]", text)
    harness.check(soname == ["libuslub.so.0"], f"SONAME is {soname}")
    for tag in ("RPATH", "RUNPATH", "TEXTREL"):
        harness.check(f"({tag})" not in text, f"has {tag}")
    print(f"needs {', '.join(needed)}; is {soname[0]}")


def check_tls(args):
    """Initial-exec only: no call of __tls_get_addr, and little of the loader's spare room."""
    relocations = output_of(args.readelf, "-rW", args.lib)
    dynamic = re.findall(r"\S*(?:DTPMOD|DTPREL|DTPOFF|TLSDESC)\S*", relocations)
    harness.check(not dynamic, f"dynamic TLS relocations: {dynamic}")
    symbols = output_of(args.nm, "-D", args.lib)
    harness.check("__tls_get_addr" not in symbols, "calls __tls_get_addr")
    segments = output_of(args.readelf, "-lW", args.lib)
    sizes = [int(line.split()[5], 16) for line in segments.splitlines()
             if line.split()[:1] == ["TLS"]]
    harness.check(sum(sizes) <= MAX_TLS, f"{sizes} bytes of TLS")
    print(f"{sum(sizes)} bytes of TLS")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--lib", "--map", "--nm", "--readelf", "--libstdcxx"):
        parser.add_argument(name, required=True)
    args = parser.parse_args()
    ours = check_names(args)
    check_operators(args, ours)
    check_dynamic(args)
    check_tls(args)


if __name__ == "__main__":
    sys.exit(main())
