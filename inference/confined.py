"""A command in a process of its own, within bounds, of which no process is left when it ends, is stopped, or when the
one that asked for it dies.

`run` starts a supervisor (`python -m inference.confined`), which starts the command. Where the kernel lets users make
namespaces (Linux), the command and all that it starts live in a process namespace: when its first process ends, the
kernel kills the rest, whatever sessions and groups they made. There it has no network, sees no other process, has no
privileges, and writes into one folder alone. Elsewhere the supervisor adopts what the command leaves behind
(PR_SET_CHILD_SUBREAPER) and kills it; a command that kills its supervisor first can then leave a process.

It is no sandbox for code that is known to be hostile: it still reads all that its user may read.
"""

import ctypes
import math
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple

from inference.settings import ROOT

MEMORY = 4 << 30  # bytes of one process: a hundred times what an embedded release needs
ADDRESSES = 4 * MEMORY  # bytes of address space: libraries reserve much more than they use
SHARED = "size=64m"  # of /dev/shm in a namespace: locks between processes live there
PROCESSES = 256  # with threads, at a time; counted in a namespace alone, where others do not count
INHERITED = ("PATH", "LD_LIBRARY_PATH", "TMPDIR", "OMP_NUM_THREADS")  # no more: environments hold passwords
TICK = 0.02  # seconds between two looks at what runs
KILLED = -int(signal.SIGKILL)

# linux/sched.h, linux/prctl.h, linux/mount.h
CLONE = 0x10000000 | 0x20000000 | 0x40000000 | 0x00020000 | 0x08000000  # user, process, network, mount, IPC namespaces
PDEATHSIG, CAPBSET_DROP, CHILD_SUBREAPER, NO_NEW_PRIVS = 1, 24, 36, 38
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18
MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE, RDONLY = 442, -100, 0x8000, 1


class Ended(NamedTuple):
    """How a command ended."""

    status: int | None  # negative for a signal; None: it was stopped
    why: str = ""  # it was stopped: "time" or "disk"
    isolated: bool = False  # in namespaces

    @property
    def signal(self) -> str:
        """The name of the signal that it died of, such as SIGSEGV; empty where it died of none."""
        return signal.Signals(-self.status).name if self.status is not None and self.status < 0 else ""


def run(
    command: Sequence[str], *, environment: Mapping[str, str], output: IO[bytes], seconds: float, file_size: int,
    folder: Path | None = None, disk: int = 0,
) -> Ended:  # fmt: skip
    """Run a command in ROOT; wait until it has ended and nothing of it is left.

    Its environment is `environment` and, of this process's own, what INHERITED names. What it prints goes into
    `output`. It is stopped after `seconds`, or where `folder`, the one that it may write into, holds more than `disk`
    bytes; no file that it writes is longer than `file_size` bytes.
    """
    alive, kept = os.pipe()  # ends for the supervisor when this process does, however that happens
    report, reporting = os.pipe()
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    limits = [str(alive), str(reporting), str(file_size), str(math.ceil(seconds)), str(folder or "")]
    try:
        try:
            supervisor = subprocess.Popen(
                [sys.executable, "-m", "inference.confined", *limits, *command],
                cwd=ROOT, env={**inherited, **environment}, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                pass_fds=(alive, reporting), start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(alive)
            os.close(reporting)
        try:
            stopped = wait(report, time.monotonic() + seconds, folder, disk)
        finally:
            os.close(kept)
            kept = -1
            end(supervisor)
        said = b"" if stopped else os.read(report, 100)
    finally:
        os.close(report)
        if kept >= 0:
            os.close(kept)
    isolated, status = said.split() if said else (b"0", str(KILLED).encode())
    return Ended(None, stopped) if stopped else Ended(int(status), "", isolated == b"1")


def wait(report: int, until: float, folder: Path | None, disk: int) -> str:
    """Until the supervisor reports or is gone; why it has to stop before, if it has."""
    while not select.select([report], [], [], 0.1)[0]:
        if time.monotonic() > until:
            return "time"
        if folder is not None and used(folder) > disk:
            return "disk"
    return ""


def used(folder: Path) -> int:
    """Bytes of disk that a folder takes, without what is removed meanwhile."""
    total = 0
    for parent, _, files in os.walk(folder):
        for name in files:
            with suppress(OSError):
                total += os.lstat(os.path.join(parent, name)).st_blocks * 512
    return total


def end(supervisor: "subprocess.Popen[bytes]") -> None:
    """Wait for a supervisor, which ends when nothing is left. Where it was killed, kill what is left in its group."""
    os.waitid(os.P_PID, supervisor.pid, os.WEXITED | os.WNOWAIT)  # its number is not given to another group yet
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(supervisor.pid, signal.SIGKILL)
    supervisor.wait()


# --- the supervisor ---


def main(arguments: Sequence[str]) -> None:
    """Start the command, with namespaces or without, and end with it."""
    alive, reporting, file_size, seconds = map(int, arguments[:4])
    folder, command = arguments[4], list(arguments[5:])

    def start(isolated: bool) -> int:
        child = os.fork()
        if child == 0:
            become(command, isolated, file_size, seconds)
        return child

    if isolate():
        first = os.fork()
        if first == 0:
            prctl(PDEATHSIG, signal.SIGKILL)
            furnish(folder, command)
            supervise(lambda: start(True), alive, reporting, b"1")
            os._exit(0)  # the kernel kills all others
        os.close(reporting)
        os.waitpid(first, 0)
        return
    prctl(CHILD_SUBREAPER, 1)
    supervise(lambda: start(False), alive, reporting, b"0")
    kill_children()


def supervise(start: Callable[[], int], alive: int, reporting: int, isolated: bytes) -> None:
    """Wait for the command, or for the end of the one that asked for it; report how the command ended."""
    child = start()
    while not select.select([alive], [], [], TICK)[0]:
        pid, status = os.waitpid(-1, os.WNOHANG)  # others are orphans, which come here
        if pid == child:
            os.write(reporting, b"%b %d" % (isolated, os.waitstatus_to_exitcode(status)))
            return


def kill_children() -> None:
    """Kill children until none is left: those of a killed child become children of this process."""
    while True:
        for pid in children():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.001)


def children() -> list[int]:
    """Children of this process, where the kernel lists them."""
    try:
        return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
    except OSError:
        return [int(name) for name in os.listdir("/proc") if name.isdigit() and parent_of(name) == os.getpid()]


def parent_of(pid: str) -> int:
    """The parent of a process, 0 where it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def become(command: list[str], isolated: bool, file_size: int, seconds: int) -> None:
    """In the child: bounds, then the command."""
    import resource  # not on every system that serves

    try:
        bounds = {
            resource.RLIMIT_CORE: 0, resource.RLIMIT_DATA: MEMORY, resource.RLIMIT_AS: ADDRESSES,
            resource.RLIMIT_FSIZE: file_size, resource.RLIMIT_CPU: seconds * (os.cpu_count() or 1) + 1,
        }  # fmt: skip
        if isolated:
            bounds[resource.RLIMIT_NPROC] = PROCESSES
            for capability in range(64):
                prctl(CAPBSET_DROP, capability)
        else:
            prctl(PDEATHSIG, signal.SIGKILL)
        for what, most in bounds.items():
            with suppress(ValueError, OSError):  # not above a limit that is there
                resource.setrlimit(what, (most, most))
        prctl(NO_NEW_PRIVS, 1)
        os.execv(command[0], command)  # noqa: S606 - a shell is what nobody wants here
    finally:
        os._exit(127)


# --- what only Linux knows ---


def libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def prctl(option: int, value: int) -> None:
    """Where it is not known nothing happens."""
    with suppress(AttributeError):
        libc().prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0))


def isolate() -> bool:
    """Whether what this process forks from now on lives in namespaces of its own, as the same user."""
    user, group = os.getuid(), os.getgid()
    try:
        if libc().unshare(CLONE):
            return False
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    except (AttributeError, OSError):
        return False
    return True


def furnish(folder: str, command: Sequence[str]) -> None:
    """In the first process of the namespaces: a view of the files in which only the folder can be written, and no other
    process can be seen or asked. What a kernel does not allow is left as it is."""
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    if folder:
        mount(folder, folder, None, MS_BIND)
    set_attributes("/", AT_RECURSIVE, on=RDONLY)
    if folder:
        set_attributes(folder, 0, off=RDONLY)
    safe = MS_NOSUID | MS_NODEV | MS_NOEXEC
    mount("proc", "/proc", "proc", safe) or mount("none", "/proc", "tmpfs", safe)
    mount("none", "/dev/shm", "tmpfs", safe, SHARED)  # noqa: S108 - in this namespace alone
    # Sockets there start programs for anyone who asks, outside of these namespaces.
    if not any(text.startswith("/run/") for text in (str(ROOT), sys.base_prefix, *command, *os.environ.values())):
        mount("none", "/run", "tmpfs", safe)
    os.chdir(ROOT)


def mount(source: str | None, target: str, kind: str | None, flags: int, options: str = "") -> bool:
    """Whether mount(2) did it."""
    coded = [None if text is None else text.encode() for text in (source, target, kind)]
    return int(libc().mount(*coded, ctypes.c_ulong(flags), options.encode())) == 0


def set_attributes(path: str, flags: int, on: int = 0, off: int = 0) -> None:
    """mount_setattr(2), Linux 5.12, which the C library may not know."""
    attributes = (ctypes.c_uint64 * 4)(on, off, 0, 0)
    libc().syscall(MOUNT_SETATTR, AT_FDCWD, path.encode(), flags, attributes, ctypes.sizeof(attributes))


if __name__ == "__main__":
    main(sys.argv[1:])
