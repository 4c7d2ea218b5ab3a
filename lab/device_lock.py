"""One run at a time on each device of a machine, across processes, users and stores.

A lock is an flock on a file in a folder that the whole machine shares. The kernel gives it back when its holder ends, however
that happens, so a killed worker leaves no stale lock. The worker process itself holds it, as long as it may use the device.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from lab.parameters import ParameterError

FOLDER_VARIABLE = "EFFICIENCY_LAB_LOCK_DIR"
HOST = "cpu"  # every run locks it: times of a GPU run's launches need a quiet host as well


def folder() -> Path:
    """The folder of the lock files, made if missing: ``$EFFICIENCY_LAB_LOCK_DIR`` or one that all users of the machine share."""
    path = Path(os.environ.get(FOLDER_VARIABLE) or Path(tempfile.gettempdir(), "efficiency-lab-locks"))
    with contextlib.suppress(FileExistsError):
        path.mkdir(parents=True)
        path.chmod(0o1777)  # everybody may add a lock, nobody may delete another user's
    return path


def check_folder() -> None:
    """Raise ParameterError where the folder of the lock files cannot be used."""
    try:
        usable = os.access(folder(), os.R_OK | os.X_OK)
    except OSError:
        usable = False
    if not usable:
        value = os.environ.get(FOLDER_VARIABLE, tempfile.gettempdir())
        raise ParameterError(FOLDER_VARIABLE, value, "a folder that can be written", "cannot hold the device locks")


@contextlib.contextmanager
def hold(names: Sequence[str], waiting: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold the locks ``names`` ("cpu", a GPU's UUID, …) inside the ``with`` block; wait as long as another process has one.

    ``waiting(name)`` is called once for each lock that is not free at once. Locks are taken in sorted order, so that two runs
    cannot wait for each other. Raises OSError when the lock file cannot be opened.
    """
    with contextlib.ExitStack() as stack:
        for name in sorted(set(names)):
            stack.enter_context(exclusive(_path(name), functools.partial(waiting, name) if waiting else None))
        yield


@contextlib.contextmanager
def hold_if_free(name: str) -> Iterator[int | None]:
    """Hold lock ``name`` inside the ``with`` block, which gets its file descriptor; None at once where another process has it.

    A child process that inherits the descriptor goes on holding the lock after the block, until it closes it or ends.
    """
    descriptor = _open(_path(name))
    try:
        held: int | None = descriptor
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held = None
        yield held
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def exclusive(path: Path, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold one lock file inside the ``with`` block, after calling ``waiting`` if another process has it."""
    descriptor = _open(path)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting is not None:
                waiting()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _path(name: str) -> Path:
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise ValueError(f"{name!r} is no lock name: letters, digits, - and _ only")
    return folder() / f"{name}.lock"


def _open(path: Path) -> int:
    # Without O_CREAT first: some kernels refuse to open another user's file with O_CREAT in a shared folder (protected_regular).
    # Reading is enough for flock. O_NOFOLLOW: a link planted in a shared folder must not make us open something else.
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
    while True:
        try:
            return os.open(path, flags)
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):
                created = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o644)
                os.fchmod(created, 0o644)  # whatever the umask: another user must be able to open it
                return created
