"""A zip from elsewhere: what is let through, and every way of being something else."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.archive import MAX_ENTRIES, ArchiveError, read_archive

ALLOWED = ("a.csv", "b.json")
LIMIT = 1000


def made(*entries: tuple[str | zipfile.ZipInfo, bytes], packing: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packing) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return buffer.getvalue()


def entry(name: str, mode: int = stat.S_IFREG | 0o644, packing: int = zipfile.ZIP_STORED) -> zipfile.ZipInfo:
    found = zipfile.ZipInfo(name)
    found.external_attr = mode << 16
    found.compress_type = packing
    return found


def patched(data: bytes, offset: int, value: bytes, local_offset: int | None = None) -> bytes:
    """``data`` with a field of its only directory entry overwritten, and of its local header where ``local_offset`` is given."""
    place = data.index(b"PK\x01\x02") + offset
    data = data[:place] + value + data[place + len(value) :]
    if local_offset is None:
        return data
    return data[:local_offset] + value + data[local_offset + len(value) :]


def refusal(data: bytes, limit: int = LIMIT) -> str:
    with pytest.raises(ArchiveError) as refused:
        read_archive(data, ALLOWED, limit)
    message = str(refused.value)
    assert message.isprintable()
    assert len(message) < 300
    return message


@pytest.mark.parametrize("folder", ["", "run-1/", "Ein Lauf/"])
@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_the_files_of_one_folder_or_none_are_read(folder: str, packing: int) -> None:
    data = made((f"{folder}a.csv", b"x" * 900), (f"{folder}b.json", b"{}"), packing=packing)
    assert read_archive(data, ALLOWED, LIMIT) == {"a.csv": b"x" * 900, "b.json": b"{}"}


def test_an_entry_of_the_folder_itself_is_no_file() -> None:
    data = made((entry("run-1/", stat.S_IFDIR | 0o755), b""), ("run-1/a.csv", b"x"))
    assert read_archive(data, ALLOWED, LIMIT) == {"a.csv": b"x"}


def test_a_remark_behind_the_archive_is_left_out() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.csv", b"x")
        archive.comment = b"\x1b[31mhello"
    assert read_archive(buffer.getvalue(), ALLOWED, LIMIT) == {"a.csv": b"x"}


@pytest.mark.parametrize("data", [b"", b"PK", b"hello", b"PK\x03\x04" + bytes(100), b"\x1f\x8b" + bytes(50), b"Rar!\x1a\x07"])
def test_what_is_no_zip_is_refused(data: bytes) -> None:
    assert refusal(data) == "is not a zip file"


@pytest.mark.parametrize(
    "path",
    [
        *("../a.csv", "../../a.csv", "/a.csv", "//host/a.csv", "run/../a.csv", "./a.csv", "run/sub/a.csv", "..", "run/.."),
        *("C:a.csv", "c:/a.csv", "..\\a.csv", "run\\a.csv", "C:\\a.csv", "run/a.csv\n", "run\u202e/a.csv", "\x1b[2J/a.csv", "run//a.csv"),
    ],
)
def test_a_path_that_leads_anywhere_else_is_refused(path: str) -> None:
    assert "allowed: files in one folder" in refusal(made((path, b"x")))


def test_a_name_that_ends_early_is_refused() -> None:
    """zipfile itself would cut it at the NUL and call it a.csv."""
    data = made(("a.csvX/../../evil", b"x")).replace(b"a.csvX/", b"a.csv\x00/")
    assert "the zip holds the path 'a.csv\\x00/../../evil'" in refusal(data)


@pytest.mark.parametrize(
    ("paths", "problem"),
    [
        (["one/a.csv", "two/b.json"], "more than one folder"),
        (["one/a.csv", "b.json"], "more than one folder"),
        (["one/a.csv", "one/c.csv"], "the zip holds 'c.csv'; allowed: a.csv, b.json"),
        (["inner.zip"], "the zip holds 'inner.zip'"),
        (["A.CSV"], "the zip holds 'A.CSV'"),
        (["run/a.csv", "run/a.csv"], "holds a.csv twice"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_other_files_are_refused(paths: list[str], problem: str) -> None:
    assert problem in refusal(made(*((path, b"x") for path in paths)))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFDIR])
def test_a_link_or_a_device_is_refused(kind: int) -> None:
    assert "which is a link or no plain file" in refusal(made((entry("run/a.csv", kind | 0o777), b"/etc/passwd")))


@pytest.mark.parametrize("flag", [0x1, 0x40, 0x2000])
def test_an_encrypted_file_is_refused(flag: int) -> None:
    data = patched(made((entry("a.csv"), b"x")), 8, struct.pack("<H", flag), local_offset=6)
    assert refusal(data) == "a.csv is encrypted; allowed: a zip without a password"


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, 99])
def test_an_unusual_packing_is_refused(packing: int) -> None:
    data = patched(made((entry("a.csv"), b"x")), 10, struct.pack("<H", packing), local_offset=8)
    assert refusal(data) == "a.csv is packed in an unusual way; allowed: stored or deflated"


def test_too_many_entries_are_refused_before_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    data = made(*((f"{number}", b"") for number in range(MAX_ENTRIES + 1)))

    def never(*_: object) -> None:
        raise AssertionError("the directory was read")

    monkeypatch.setattr(zipfile, "ZipFile", never)
    assert "too many entries" in refusal(data)


def test_files_that_take_too_much_are_refused_as_they_say_and_as_they_are() -> None:
    assert len(read_archive(made(("a.csv", b"x" * 600), ("b.json", b"y" * 400)), ALLOWED, LIMIT)) == 2
    said = "the files in the zip take more than 1,000 bytes unpacked, which is the most that is allowed"
    assert refusal(made(("a.csv", b"x" * 600), ("b.json", b"y" * 401))) == said
    # The directory says 1000 bytes, and what is packed unpacks to 5000 whose checksum is right.
    lying = made((entry("a.csv", packing=zipfile.ZIP_DEFLATED), b"x" * 5000))
    assert "damaged" in refusal(patched(lying, 24, struct.pack("<L", 1000), local_offset=22))


def test_a_file_that_unpacks_to_many_times_its_size_is_refused() -> None:
    bomb = made(("a.csv", bytes(4 << 20)))
    assert len(bomb) < 1 << 13
    assert refusal(bomb, limit=1 << 30) == "a.csv unpacks to more than 500 times its size; allowed: the files of one run"


def test_a_zip_within_a_zip_stays_bytes() -> None:
    inner = made(("../../evil", b"x"))
    assert read_archive(made(("a.csv", inner)), ALLOWED, LIMIT) == {"a.csv": inner}


def test_a_damaged_file_is_refused() -> None:
    data = made((entry("a.csv"), b"x" * 100))
    assert refusal(data.replace(b"xxx", b"xyx", 1)).startswith("the zip is damaged (Bad CRC-32")


def outcome(data: bytes) -> tuple[dict[str, bytes], str]:
    """The files, or none and the message of the refusal."""
    try:
        return read_archive(data, ALLOWED, LIMIT), ""
    except ArchiveError as error:
        return {}, str(error)


WHOLE = made(("run-1/a.csv", b"a,b\n1,2\n" * 20), ("run-1/b.json", b'{"a": 1}'))


@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.binary(min_size=1, max_size=4)), min_size=1, max_size=4), st.booleans())
def test_whatever_the_bytes_are_there_are_files_or_one_line(edits: list[tuple[int, bytes]], cut: bool) -> None:
    data = WHOLE
    for place, value in edits:
        data = data[:place] + value + data[place + len(value) :]
    if cut:
        data = data[: edits[0][0]]
    files, message = outcome(data)
    assert message.isprintable()
    assert set(files) <= set(ALLOWED)
    assert sum(map(len, files.values())) <= LIMIT


@given(st.binary(max_size=64), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_sizes_and_checksums_are_not_believed(packed: bytes, size: int, checksum: int) -> None:
    data = made((entry("a.csv", packing=zipfile.ZIP_DEFLATED), zlib.compress(packed)))
    data = patched(patched(data, 24, struct.pack("<L", size)), 16, struct.pack("<L", checksum))
    files, message = outcome(data)
    assert message.isprintable()
    assert sum(map(len, files.values())) <= LIMIT
