"""Makes the guest's root: an initramfs with busybox, programs, and the libraries that they are linked with."""

import re
import shutil
import subprocess
from pathlib import Path

DIRECTORY, FILE, DEVICE = 0o040755, 0o100755, 0o020600


def entry(number, name, mode, data=b"", device=(0, 0)):
    """A file in cpio's "newc" format, which the kernel reads: Documentation/driver-api/early-userspace."""
    path = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(path), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + path
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)


def archive(files):
    """The archive of {path in the guest: path here}, with the directories that they need and a console."""
    directories = sorted({str(parent) for name in [*files, "dev/console"] for parent in Path(name).parents})
    parts = [(name, DIRECTORY) for name in directories if name != "."]
    parts.append(("dev/console", DEVICE, b"", (5, 1)))
    parts += [(name, FILE, Path(source).read_bytes()) for name, source in sorted(files.items())]
    parts.append(("TRAILER!!!", 0))
    return b"".join(entry(number, *part) for number, part in enumerate(parts, 1))


def libraries(program):
    """The libraries, the dynamic loader among them, that ldd says a program needs."""
    said = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    if "not found" in said:
        raise FileNotFoundError(f"{program}: {said}")
    return re.findall(r"(/\S+) \(0x", said)


def make(path, programs, library, init):
    """Writes it: programs go to bin/, each with its libraries, libuslub.so to lib/."""
    busybox = shutil.which("busybox")
    if not busybox:
        raise FileNotFoundError("there is no busybox: install Debian's package busybox-static")
    files = {"init": init, "bin/busybox": busybox, "lib/libuslub.so": library}
    for program in programs:
        files["bin/" + Path(program).name] = program
    for program in [*programs, library]:
        files.update({found.lstrip("/"): found for found in libraries(program)})
    Path(path).write_bytes(archive(files))
