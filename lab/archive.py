"""The files inside a zip from elsewhere, read without trusting anything that it says of itself.

Nothing is unpacked to disk. Sizes are checked as declared and again while reading, chunk by chunk.
"""

from __future__ import annotations

import io
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Collection

MAX_ENTRIES = 64  # of the archive's directory, before it is read; what is allowed in it are a few files
MAX_RATIO = 500  # unpacked / packed of one file larger than MIN_RATIO_BYTES: exported tables reach about 30
MIN_RATIO_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 16
_DIRECTORY_ENTRY = b"PK\x01\x02"
_ENCRYPTED = 0x1 | 0x40 | 0x2000  # flags: a password, strong encryption, an encrypted directory
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_UNREADABLE = (
    *(zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error),
    *(EOFError, NotImplementedError, OSError, OverflowError, RuntimeError, ValueError),
)


class ArchiveError(ValueError):
    """An archive was refused; the message is one line that says why."""


def read_archive(data: bytes, allowed: Collection[str], max_bytes: int) -> dict[str, bytes]:
    """The files of the zip ``data`` by name: only those called as ``allowed``, each once, all in one folder or all in none.

    ``max_bytes`` bounds what they take together, unpacked. Raises ArchiveError for everything else.
    """
    if not data.startswith(b"PK") or not zipfile.is_zipfile(io.BytesIO(data)):
        raise ArchiveError("is not a zip file")
    # Counted before the directory is read: each of its entries would become an object.
    if data.count(_DIRECTORY_ENTRY) > MAX_ENTRIES:
        raise ArchiveError(f"the zip has too many entries; allowed: {', '.join(allowed)} in one folder")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _read(archive, allowed, max_bytes)
    except _UNREADABLE as error:
        if isinstance(error, ArchiveError):
            raise
        raise ArchiveError(f"the zip is damaged ({_one_line(error)})") from error


def _read(archive: zipfile.ZipFile, allowed: Collection[str], max_bytes: int) -> dict[str, bytes]:
    chosen: dict[str, zipfile.ZipInfo] = {}
    folders: set[str] = set()
    for entry in archive.infolist():
        folder, name = _place(entry)
        folders.add(folder)
        if len(folders) > 1:
            raise ArchiveError("the zip holds more than one folder; allowed: the files of one run")
        if not name:
            continue
        if name not in allowed:
            raise ArchiveError(f"the zip holds {_quoted(name)}; allowed: {', '.join(allowed)}")
        if name in chosen:
            raise ArchiveError(f"the zip holds {name} twice")
        _check(entry, name)
        chosen[name] = entry
    declared = sum(entry.file_size for entry in chosen.values())
    if declared > max_bytes:
        raise ArchiveError(_too_large(max_bytes))
    files: dict[str, bytes] = {}
    for name, entry in chosen.items():
        files[name] = _unpacked(archive, entry, max_bytes - sum(map(len, files.values())), max_bytes)
    return files


def _place(entry: zipfile.ZipInfo) -> tuple[str, str]:
    """Folder and name of an entry; the name of a folder itself is ""."""
    path = entry.orig_filename  # as it stands there: zipfile cuts it at a NUL
    folder, slash, name = path.rpartition("/")
    unsafe = "\\" in path or re.match(r"[A-Za-z]:", path) or path.startswith("/") or folder in (".", "..") or name in (".", "..")
    if unsafe or "/" in folder or not path.isprintable():
        raise ArchiveError(f"the zip holds the path {_quoted(path)}; allowed: files in one folder")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG) and not (kind == stat.S_IFDIR and slash and not name):
        raise ArchiveError(f"the zip holds {_quoted(path)}, which is a link or no plain file")
    return folder, name


def _check(entry: zipfile.ZipInfo, name: str) -> None:
    if entry.flag_bits & _ENCRYPTED:
        raise ArchiveError(f"{name} is encrypted; allowed: a zip without a password")
    if entry.compress_type not in _PACKINGS:
        raise ArchiveError(f"{name} is packed in an unusual way; allowed: stored or deflated")
    if entry.file_size > MIN_RATIO_BYTES and entry.file_size > MAX_RATIO * entry.compress_size:
        raise ArchiveError(f"{name} unpacks to more than {MAX_RATIO} times its size; allowed: the files of one run")


def _unpacked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, left_bytes: int, max_bytes: int) -> bytes:
    parts: list[bytes] = []
    with archive.open(entry) as file:
        while part := file.read(_CHUNK_BYTES):
            left_bytes -= len(part)
            if left_bytes < 0:
                raise ArchiveError(_too_large(max_bytes))
            parts.append(part)
    return b"".join(parts)


def _too_large(max_bytes: int) -> str:
    return f"the files in the zip take more than {max_bytes:,} bytes unpacked, which is the most that is allowed"


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "…")


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())[:100]
    return text if text.isprintable() and text else type(error).__name__
