"""Locks are exclusive between processes, are given back by the kernel, and cannot be led astray in a shared folder."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import device_lock

HOLDER = """
import sys
from lab import device_lock
with device_lock.hold(sys.argv[1:], lambda name: print("waiting", name, flush=True)):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def lock_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(device_lock.FOLDER_VARIABLE, str(tmp_path / "locks"))
    return tmp_path / "locks"


@pytest.fixture
def holders() -> Iterator[list[subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.kill()
        process.communicate()


def hold_elsewhere(holders: list[subprocess.Popen[str]], *names: str) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLDER, *names], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    holders.append(process)
    return process


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_second_process_waits_until_the_first_is_killed(holders: list[subprocess.Popen[str]]) -> None:
    first = hold_elsewhere(holders, "cpu")
    assert line_of(first) == "held"
    second = hold_elsewhere(holders, "cpu", "GPU-1")
    assert line_of(second) == "waiting cpu"
    first.send_signal(signal.SIGKILL)  # it cannot clean up: the kernel gives the lock back
    assert line_of(second) == "held"


def test_a_waiting_process_is_told_which_lock_is_taken(holders: list[subprocess.Popen[str]]) -> None:
    gpu = hold_elsewhere(holders, "GPU-1")
    assert line_of(gpu) == "held"
    both = hold_elsewhere(holders, "cpu", "GPU-1")  # sorted order: GPU-1 before cpu
    assert line_of(both) == "waiting GPU-1"
    cpu = hold_elsewhere(holders, "cpu")  # the waiting one holds nothing that it does not need in order
    assert line_of(cpu) == "held"


def test_a_lock_that_is_taken_is_not_waited_for(holders: list[subprocess.Popen[str]]) -> None:
    holder = hold_elsewhere(holders, "cpu")
    assert line_of(holder) == "held"
    with device_lock.hold_if_free("cpu") as lock:
        assert lock is None
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with device_lock.hold_if_free("cpu") as lock:
        assert lock is not None
        with device_lock.hold_if_free("cpu") as again:
            assert again is None


def test_a_child_that_inherits_a_lock_goes_on_holding_it() -> None:
    with device_lock.hold_if_free("cpu") as lock:
        assert lock is not None
        child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=(lock,))
    with device_lock.hold_if_free("cpu") as lock:
        assert lock is None
    child.communicate()
    with device_lock.hold_if_free("cpu") as lock:
        assert lock is not None


def test_different_devices_do_not_wait_for_each_other(holders: list[subprocess.Popen[str]]) -> None:
    assert line_of(hold_elsewhere(holders, "GPU-1")) == "held"
    waited: list[str] = []
    with device_lock.hold(["GPU-2"], waited.append):
        assert waited == []


def test_the_lock_is_free_after_the_block_even_after_an_error() -> None:
    with pytest.raises(RuntimeError), device_lock.hold(["cpu"]):
        raise RuntimeError
    waited: list[str] = []
    with device_lock.hold(["cpu", "cpu"], waited.append):  # the same name twice is one lock, not a deadlock
        assert waited == []


def test_the_folder_is_shared_by_all_users(lock_folder: Path) -> None:
    old_mask = os.umask(0o077)
    try:
        with device_lock.hold(["cpu"]):
            assert stat.S_IMODE(lock_folder.stat().st_mode) == 0o1777
            assert stat.S_IMODE((lock_folder / "cpu.lock").stat().st_mode) == 0o644
    finally:
        os.umask(old_mask)


def test_a_planted_link_is_not_followed(lock_folder: Path, tmp_path: Path) -> None:
    device_lock.folder()
    (lock_folder / "cpu.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError), device_lock.hold(["cpu"]):
        pass
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("name", ["", "../cpu", "a/b", "cpu\n", "é", "a b"])
def test_a_name_that_is_no_plain_file_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no lock name"), device_lock.hold([name]):
        pass
