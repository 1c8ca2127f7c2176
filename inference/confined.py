"""Runs a command in a subprocess with limits. No process of it is left when it ends, is stopped, or when the process
that started it dies.

`run` starts a supervisor (`python -m inference.confined`), which starts the command. Where the kernel lets users create
namespaces (Linux), the command and everything it starts run in a PID namespace: when its first process ends, the kernel
kills the rest, whatever sessions and groups they are in. There the command has no network, sees no other process, has
no privileges, and can write into one folder only. Elsewhere the supervisor adopts the processes that the command leaves
behind (PR_SET_CHILD_SUBREAPER) and kills them; a command that kills its supervisor first can then leave a process.

This is not a sandbox for code that is known to be hostile: the command can still read everything its user can read.
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

MEMORY = 4 << 30  # bytes per process: a hundred times what an embedded release needs
ADDRESSES = 4 * MEMORY  # bytes of address space; libraries reserve much more than they use
SHARED = "size=64m"  # of /dev/shm in a namespace, which holds locks between processes
PROCESSES = 256  # with threads, at a time; only in a namespace, where other processes are not counted
INHERITED = ("PATH", "LD_LIBRARY_PATH", "TMPDIR", "OMP_NUM_THREADS")  # nothing else: environments can hold passwords
TICK = 0.02  # seconds between checks of the running command
KILLED = -int(signal.SIGKILL)

# linux/sched.h, linux/prctl.h, linux/mount.h
CLONE = 0x10000000 | 0x20000000 | 0x40000000 | 0x00020000 | 0x08000000  # user, process, network, mount, IPC namespaces
PDEATHSIG, CAPBSET_DROP, CHILD_SUBREAPER, NO_NEW_PRIVS = 1, 24, 36, 38
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18
MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE, RDONLY = 442, -100, 0x8000, 1


class Ended(NamedTuple):
    """How a command ended."""

    status: int | None  # exit status, negative for a signal; None if it was stopped
    stopped_by: str = ""  # the limit that stopped it, "time" or "disk"; or "request"
    isolated: bool = False  # ran in namespaces

    @property
    def signal(self) -> str:
        """The name of the signal that killed it, such as SIGSEGV; empty if none did."""
        return signal.Signals(-self.status).name if self.status is not None and self.status < 0 else ""


def run(
    command: Sequence[str], *, environment: Mapping[str, str], output: IO[bytes], seconds: float, file_size: int,
    folder: Path | None = None, disk: int = 0, stop: Callable[[], bool] = lambda: False,
) -> Ended:  # fmt: skip
    """Run a command in ROOT; wait until it and all its processes have ended.

    Its environment is `environment` plus the variables of this process named in INHERITED. Its output goes to `output`.
    It is stopped after `seconds`, when `folder`, the only one that it may write into, holds more than `disk` bytes, or
    when `stop` returns true.
    No file that it writes can be longer than `file_size` bytes.
    """
    alive, alive_writer = os.pipe()  # closed when this process ends, however that happens; the supervisor notices
    report, report_writer = os.pipe()
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    limits = [str(alive), str(report_writer), str(file_size), str(math.ceil(seconds)), str(folder or "")]
    try:
        try:
            supervisor = subprocess.Popen(
                [sys.executable, "-m", "inference.confined", *limits, *command],
                cwd=ROOT, env={**inherited, **environment}, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                pass_fds=(alive, report_writer), start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(alive)
            os.close(report_writer)
        try:
            stopped = wait(report, time.monotonic() + seconds, folder, disk, stop)
        finally:
            os.close(alive_writer)
            alive_writer = -1
            end(supervisor)
        report_text = b"" if stopped else os.read(report, 100)
    finally:
        os.close(report)
        if alive_writer >= 0:
            os.close(alive_writer)
    isolated, status = report_text.split() if report_text else (b"0", str(KILLED).encode())
    return Ended(None, stopped) if stopped else Ended(int(status), "", isolated == b"1")


def wait(report: int, until: float, folder: Path | None, disk: int, stop: Callable[[], bool]) -> str:
    """Wait until the supervisor reports or is gone. Returns the limit that was exceeded, or an empty string."""
    while not select.select([report], [], [], 0.1)[0]:
        if time.monotonic() > until:
            return "time"
        if folder is not None and used(folder) > disk:
            return "disk"
        if stop():
            return "request"
    return ""


def used(folder: Path) -> int:
    """Bytes of disk that a folder uses; files that are removed meanwhile are not counted."""
    total = 0
    for parent, _, files in os.walk(folder):
        for name in files:
            with suppress(OSError):
                total += os.lstat(os.path.join(parent, name)).st_blocks * 512
    return total


def end(supervisor: "subprocess.Popen[bytes]") -> None:
    """Wait for a supervisor, which ends last. If it was killed, kill the remaining processes of its group."""
    os.waitid(os.P_PID, supervisor.pid, os.WEXITED | os.WNOWAIT)  # WNOWAIT: its PID cannot be reused yet
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(supervisor.pid, signal.SIGKILL)
    supervisor.wait()


# --- the supervisor ---


def main(arguments: Sequence[str]) -> None:
    """Start the command, in namespaces if possible, and end with it."""
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
            os._exit(0)  # the kernel kills the other processes of the namespace
        os.close(reporting)
        os.waitpid(first, 0)
        return
    prctl(CHILD_SUBREAPER, 1)
    supervise(lambda: start(False), alive, reporting, b"0")
    kill_children()


def supervise(start: Callable[[], int], alive: int, reporting: int, isolated: bytes) -> None:
    """Wait until the command ends or the process that asked for it does; report the command's exit status."""
    child = start()
    while not select.select([alive], [], [], TICK)[0]:
        pid, status = os.waitpid(-1, os.WNOHANG)  # may also be an orphan of the command
        if pid == child:
            os.write(reporting, b"%b %d" % (isolated, os.waitstatus_to_exitcode(status)))
            return


def kill_children() -> None:
    """Kill children until none is left: children of a killed child become children of this process."""
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
    """PIDs of this process's children, from the kernel's list or, without one, from /proc."""
    try:
        return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
    except OSError:
        return [int(name) for name in os.listdir("/proc") if name.isdigit() and parent_of(name) == os.getpid()]


def parent_of(pid: str) -> int:
    """The PID of a process's parent; 0 if the process is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def become(command: list[str], isolated: bool, file_size: int, seconds: int) -> None:
    """In the child: set the limits, then run the command."""
    import resource  # not available on every system that can serve

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
        for kind, limit in bounds.items():
            with suppress(ValueError, OSError):  # a lower limit is already set
                resource.setrlimit(kind, (limit, limit))
        prctl(NO_NEW_PRIVS, 1)
        os.execv(command[0], command)  # noqa: S606 - on purpose without a shell
    finally:
        os._exit(127)


# --- Linux only ---


def libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def prctl(option: int, value: int) -> None:
    """Call prctl(2); does nothing on systems without it."""
    with suppress(AttributeError):
        libc().prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0))


def isolate() -> bool:
    """Create namespaces for the children of this process, as the same user; returns whether that succeeded."""
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
    """In the first process of the namespaces: make all files read-only except the folder, and hide other processes and
    their sockets. Steps that the kernel does not allow are skipped."""
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    if folder:
        mount(folder, folder, None, MS_BIND)
    set_attributes("/", AT_RECURSIVE, on=RDONLY)
    if folder:
        set_attributes(folder, 0, off=RDONLY)
    safe = MS_NOSUID | MS_NODEV | MS_NOEXEC
    mount("proc", "/proc", "proc", safe) or mount("none", "/proc", "tmpfs", safe)
    mount("none", "/dev/shm", "tmpfs", safe, SHARED)  # noqa: S108 - in this namespace only
    # Services listening on sockets there would start programs outside of these namespaces.
    if not any(text.startswith("/run/") for text in (str(ROOT), sys.base_prefix, *command, *os.environ.values())):
        mount("none", "/run", "tmpfs", safe)
    os.chdir(ROOT)


def mount(source: str | None, target: str, kind: str | None, flags: int, options: str = "") -> bool:
    """Call mount(2); returns whether it succeeded."""
    coded = [None if text is None else text.encode() for text in (source, target, kind)]
    return int(libc().mount(*coded, ctypes.c_ulong(flags), options.encode())) == 0


def set_attributes(path: str, flags: int, on: int = 0, off: int = 0) -> None:
    """Call mount_setattr(2), Linux 5.12, for which the C library may lack a function."""
    attributes = (ctypes.c_uint64 * 4)(on, off, 0, 0)
    libc().syscall(MOUNT_SETATTR, AT_FDCWD, path.encode(), flags, attributes, ctypes.sizeof(attributes))


if __name__ == "__main__":
    main(sys.argv[1:])
