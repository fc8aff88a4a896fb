#!/usr/bin/env python3
"""`uslub run`: what the program gets, and what it says of programs that nothing can be preloaded into."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

from peer import as_user, check, harness, run_cases, tool

NOBODY = 65534
SHOW = "import os; print(os.environ['LD_PRELOAD']); print(os.environ.get('USLUB'))"


def run(args, *words, environment=None, **more):
    clean = {key: value for key, value in os.environ.items()
             if key not in ("LD_PRELOAD", "USLUB", "XDG_RUNTIME_DIR")}
    clean.update(environment or {})
    done = subprocess.run([args.tool, "run", *map(str, words)], env=clean, capture_output=True,
                          text=True, timeout=60, check=False, stdin=subprocess.DEVNULL, **more)
    return done.returncode, done.stdout, done.stderr


def what_is_set(args, path):
    """LD_PRELOAD and USLUB, with what was in them."""
    status, out, err = run(args, sys.executable, "-c", SHOW)
    library, options = out.splitlines()
    check((status, err, options) == (0, "", "None"), f"{status} {out} {err}")
    check(os.path.samefile(library, args.lib), f"LD_PRELOAD is {library}")
    others = "libm.so.6:libpthread.so.0"
    status, out, err = run(args, "--stats", "--nodes", 4, "--option", "purge_delay:7", "--",
                           sys.executable, "-c", SHOW,
                           environment={"LD_PRELOAD": others, "USLUB": "on_error:report"})
    check(status == 0 and out.splitlines() == [
        f"{library}:{others}", "on_error:report,stats:1,nodes:4,purge_delay:7"], out)
    check("slabinfo - version: 2.1" in err, f"no statistics: {err}")
    status, out, _ = run(args, sys.executable, "-c", SHOW, environment={"LD_PRELOAD": library})
    check((status, out.splitlines()[0]) == (0, library), "preloaded twice")
    other = Path(path) / "libother.so"
    shutil.copy(args.lib, other)
    status, out, _ = run(args, "--library", other, sys.executable, "-c", SHOW)
    check((status, out.splitlines()[0]) == (0, str(other)), out)


def control(args, path):
    """--control makes the directory; the program's children are seen as well."""
    sockets = Path(path) / "sockets"
    status, out, err = run(args, f"--control={sockets}", "--", "bash", "-c",
                           f"'{args.tool}' ls --dir '{sockets}'; '{args.tool}' get $$ slabinfo")
    check((status, err) == (0, ""), err)
    # The tools run under the library as well, and are seen.
    check(out[0].isdigit() and "\nslabinfo - version: 2.1\n" in out, out[:200])
    # A relative one counts from here.
    status, out, err = run(args, "--control=here", "bash", "-c", "echo $USLUB", cwd=path)
    check((status, out) == (0, f"control:{os.path.realpath(path)}/here\n"), out + err)
    run_dir = Path(path) / "run"
    run_dir.mkdir()
    if os.geteuid() != 0:
        status, out, err = run(args, "--control", "bash", "-c", "echo $USLUB",
                               environment={"XDG_RUNTIME_DIR": str(run_dir)})
        check((status, out) == (0, f"control:{run_dir}/uslub\n"), out + err)


def statuses(args, path):
    """The program's own status, and 125 to 127 where there is none."""
    missing = Path(path) / "missing"
    data = Path(path) / "data"
    data.write_text("no program")
    check(run(args, "sh", "-c", "exit 7")[0] == 7, "7")
    check(run(args, "sh", "-c", "kill -9 $$")[0] == -9, "killed")
    for words, status, word in [
            ([missing], 127, "no program"), (["no-such-word"], 127, "no program"),
            ([data], 127, "no program"), ([], 125, "Usage"), (["--nonsense", "true"], 125, "Usage"),
            (["--library", missing, "true"], 125, "libuslub.so"),
            (["--option", "a:1,b:2", "true"], 125, "comma")]:
        done = run(args, *words)
        check(done[0] == status and word in done[2] and not done[1], f"{words}: {done}")


def compile_static(args, path, *flags):
    source = Path(path) / "static.c"
    source.write_text("int main(void) { return 0; }\n")
    program = Path(path) / "static"
    done = subprocess.run(["cc", *flags, str(source), "-o", str(program)], capture_output=True,
                          text=True, check=False)
    check(done.returncode == 0, f"a static program can't be built: {done.stderr}")
    return program


def refused(args, program, *words):
    status, out, err = run(args, program)
    check((status, out) == (126, ""), f"{program}: {status} {out} {err}")
    check(err.startswith("uslub run: no library can be preloaded into") and err.count("\n") == 1,
          err)
    for word in words:
        check(word in err, f"no '{word}' in: {err}")


def refusals(args, path):
    """Static programs, scripts whose interpreter is one, and files that are for another machine."""
    for flags in (["-static"], ["-static-pie"]):
        program = compile_static(args, path, *flags)
        refused(args, program, "static")
    script = Path(path) / "script"
    script.write_text(f"#! {program} -x\n")
    script.chmod(0o755)
    refused(args, script, "interpreter", str(program), "static")
    outer = Path(path) / "outer"
    outer.write_text(f"#!{script}\n")
    outer.chmod(0o755)
    refused(args, outer, "interpreter", "static")
    raw = bytearray(Path(args.subject).read_bytes())
    raw[18] ^= 0xFF
    foreign = Path(path) / "foreign"
    foreign.write_bytes(raw)
    foreign.chmod(0o755)
    refused(args, foreign, "another machine")
    good = Path(path) / "good"
    good.write_text("#!/bin/sh\nexit 5\n")
    good.chmod(0o755)
    check(run(args, good)[0] == 5, "a script is not run")


def rights(args, path):
    """Setuid and setgid programs, for whoever they would change."""
    if os.geteuid() != 0:
        harness.skip("only root can make another user's setuid program")
    os.chmod(path, 0o755)
    program = Path(path) / "program"
    shutil.copy("/bin/true", program)
    for bits, word in [(stat.S_ISUID, "setuid"), (stat.S_ISGID, "setgid")]:
        os.chown(program, NOBODY, NOBODY)
        program.chmod(0o755 | bits)
        refused(args, program, word)
        os.chown(program, 0, 0)
        program.chmod(0o755 | bits)
        check(run(args, program)[0] == 0, f"{word} to who it is run by already")
    if as_user(NOBODY, lambda: not (os.access(args.tool, os.X_OK) and os.access(args.lib, os.R_OK))):
        harness.skip("the user nobody cannot read the build directory")

    def as_nobody():
        return run(args, program)[0] != 126

    check(as_user(NOBODY, as_nobody) == 0, "another's setgid program is run")


def help_texts(args, _path):
    """Each command has its help, and names what it doesn't know."""
    for command in ("run", "ls", "get", "set", "node", "mount"):
        status, out, err = tool(args, command, "--help")
        check((status, err) == (0, "") and out.startswith(f"Usage: uslub {command} "), out + err)
    status, out, _ = tool(args, "--help")
    check(status == 0 and all(f"\n  {word} " in out for word in ("run", "ls", "get", "set", "node")),
          out)
    status, _, err = tool(args, "mount")
    check(status == 2 and "Usage" in err, err)


if __name__ == "__main__":
    run_cases(__doc__, [what_is_set, control, statuses, refusals, rights, help_texts])
