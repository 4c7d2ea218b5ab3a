"""Runs that others have measured: their exported bundles, kept beside the runs of this machine and never among them.

    <home>/imported/<id>/    manifest.json, records.csv, summary.csv, verdicts.csv as this version exports the run, and import.json:
                             when it was imported and what there is to say about it

Of a bundle only manifest.json and records.csv are believed: summary and verdicts follow from the records. ``id`` is the beginning of a
SHA-256 over these two in the form in which this version writes them, so that a run imported twice is there once. Nothing in a bundle is
executed, and it is stored only after everything that a page makes of it has been made once.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab import export
from lab.archive import ArchiveError, read_archive
from lab.bundle_check import LIMITS, Checked, ImportRefused, Limits, check_apart, read_run
from lab.device_lock import exclusive
from lab.export import MANIFEST, RECORDS
from lab.foreign_run import ForeignRunError, check_manifest
from lab.parameters import ParameterError
from lab.records import RunView

PREFIX = "imported/"
FACTS = "import.json"
ID_PATTERN = r"[0-9a-f]{12}"

Check = Callable[[Mapping[str, bytes], Limits], Checked]

_BOM = b"\xef\xbb\xbf"
# Downloads have the run's id in front, and a browser adds a number to the name of a second download.
_PART = re.compile(r"(?:.*[-_ ])?(manifest|records|summary|verdicts)(?: ?\([0-9]{1,3}\))?\.(json|csv)", re.DOTALL)


@dataclass(frozen=True)
class Imported:
    """An imported run as lists show it, from its manifest alone. Times are ISO 8601.

    ``notices`` say what there is to know of it beside what it shows. ``problem`` says why it cannot be read ("" where it can); what was not
    found is then "".
    """

    id: str
    run_id: str = ""
    workload: str = ""
    preset: str = ""
    hardware: str = ""
    measured_at: str = ""
    status: str = ""
    imported_at: str = ""
    notices: tuple[str, ...] = ()
    problem: str = ""

    @property
    def reference(self) -> str:
        """Its name wherever a run can be named."""
        return f"{PREFIX}{self.id}"


class Imports:
    """The imported runs under ``home``, which any number of processes may use at once.

    ``check`` makes what is kept of a run out of the files of a bundle, or raises ImportRefused.
    """

    def __init__(self, home: Path, limits: Limits = LIMITS, check: Check = check_apart) -> None:
        self.folder = home / "imported"
        self.limits = limits
        self._check = check

    # --- adding ----------------------------------------------------------------------------------------------------------------

    def add(self, data: bytes) -> str:
        """Import a bundle: the zip that pages and reports offer, or the run as one JSON document. Returns its reference.

        A bundle that is there already changes nothing. Raises ImportRefused; nothing is kept of it then.
        """
        self._check_size(len(data))
        try:
            if data.removeprefix(_BOM).lstrip()[:1] == b"{":
                files = export.files_of(export.read_json("the JSON document", data.removeprefix(_BOM)))
            else:
                files = read_archive(data, export.FILES, self.limits.unpacked_bytes)
        except (ArchiveError, export.RecordedError) as error:
            raise ImportRefused(str(error)) from error
        return self._add(files)

    def add_files(self, chosen: Iterable[tuple[str, bytes]]) -> str:
        """Import the files of one run, each with its name (see :func:`part`). Otherwise as :meth:`add`."""
        files: dict[str, bytes] = {}
        for given, data in chosen:
            name = part(given)
            if not name:
                raise ImportRefused(f"{given[:60]!r} is no file of a run; allowed: {', '.join(export.FILES)}")
            if name in files:
                raise ImportRefused(f"{name} was chosen twice; allowed: the files of one run")
            files[name] = data
        self._check_size(sum(map(len, files.values())))
        return self._add(files)

    def _check_size(self, size: int) -> None:
        if size > self.limits.upload_bytes:
            raise ImportRefused(f"has {size:,} bytes; allowed: at most {self.limits.upload_bytes:,}")

    def _add(self, files: Mapping[str, bytes]) -> str:
        made = self._check(files, self.limits)
        digest = hashlib.sha256()
        for name in (MANIFEST, RECORDS):
            digest.update(hashlib.sha256(made.files[name]).digest())
        found = digest.hexdigest()[:12]
        facts = {"imported_at": _now(), "notices": made.notices}
        try:
            self._store(found, {**made.files, FACTS: _json(facts)})
        except OSError as error:
            raise ImportRefused(f"the run cannot be kept in {self.folder} ({error.strerror or error})") from error
        return f"{PREFIX}{found}"

    def _store(self, found: str, files: Mapping[str, bytes]) -> None:
        """Write the files into the folder ``found``, all or nothing. Raises OSError, and ImportRefused when there are too many runs."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with exclusive(self.folder / "changing.lock"):
            self._sweep()
            if (self.folder / found).exists():
                return
            if len(self._ids()) >= self.limits.runs:
                raise ImportRefused(f"{self.limits.runs:,} runs are imported, which is the most; remove one first")
            new = self.folder / f".{found}.{uuid.uuid4().hex}"
            try:
                new.mkdir()
                for name, data in files.items():
                    with (new / name).open("xb") as file:
                        file.write(data)
                        file.flush()
                        os.fsync(file.fileno())
                new.rename(self.folder / found)
            finally:
                shutil.rmtree(new, ignore_errors=True)

    def _sweep(self) -> None:
        """Take away what a process that was killed in the middle of a change has left."""
        for rest in self.folder.glob(".*"):
            shutil.rmtree(rest, ignore_errors=True)

    # --- reading ---------------------------------------------------------------------------------------------------------------

    def all(self) -> list[Imported]:
        """Every imported run, the latest import first."""
        return sorted((self._listed(found) for found in self._ids()), key=lambda item: (item.imported_at, item.id), reverse=True)

    def get(self, id: str) -> Imported:
        """One of :meth:`all` by its id or reference. Raises ParameterError when there is none."""
        return self._listed(self._known(id))

    def view(self, id: str) -> RunView:
        """The run with its records, by id or reference. Raises ParameterError when there is none or its files were damaged."""
        found = self._known(id)
        try:
            files = {name: (self.folder / found / name).read_bytes() for name in (MANIFEST, RECORDS)}
            return read_run(files, self.limits)
        except (OSError, ImportRefused) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise ParameterError("run", f"{PREFIX}{found}", "", f"cannot be read ({reason})") from error

    def remove(self, id: str) -> None:
        """Forget a run, by id or reference. Raises ParameterError when there is none and OSError when it cannot be removed."""
        found = self._known(id)
        with exclusive(self.folder / "changing.lock"), contextlib.suppress(FileNotFoundError):  # another process was quicker
            (self.folder / found).rename(self.folder / f".{found}.{uuid.uuid4().hex}")
            self._sweep()

    def _ids(self) -> list[str]:
        try:
            return [entry.name for entry in os.scandir(self.folder) if re.fullmatch(ID_PATTERN, entry.name) and _is_folder(entry)]
        except FileNotFoundError:
            return []

    def _known(self, text: str) -> str:
        found = text.removeprefix(PREFIX)
        folder = self.folder / found
        if not re.fullmatch(ID_PATTERN, found) or folder.is_symlink() or not folder.is_dir():
            raise ParameterError("run", text, "a run that was imported here", "is unknown")
        return found

    def _listed(self, found: str) -> Imported:
        folder = self.folder / found
        facts = _facts(folder / FACTS)
        try:
            manifest = export.read_json(MANIFEST, (folder / MANIFEST).read_bytes())
            check_manifest(manifest)
        except (OSError, export.RecordedError, ForeignRunError) as error:
            return Imported(found, problem=f"cannot be read ({getattr(error, 'strerror', None) or error})", **facts)
        return Imported(
            found,
            run_id=manifest["run_id"],
            workload=str(manifest.get("workload")),
            preset=manifest["preset"],
            hardware=manifest["hardware"],
            measured_at=manifest.get("started_at") or manifest["created_at"],
            status=manifest["status"],
            **facts,
        )


def part(name: str) -> str:
    """Which file of a bundle a file of this name is: "records.csv" for "20260131-174502-a7k2m9-records (1).csv"; "" for none."""
    found = _PART.fullmatch(name)
    return f"{found[1]}.{found[2]}" if found and f"{found[1]}.{found[2]}" in export.FILES else ""


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False)


def _facts(path: Path) -> dict[str, Any]:
    """What was noted at the import; nothing where that cannot be read."""
    with contextlib.suppress(OSError, export.RecordedError, KeyError, TypeError):
        found = export.read_json(FACTS, path.read_bytes())
        return {"imported_at": str(found["imported_at"]), "notices": tuple(map(str, found["notices"]))}
    return {}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _json(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True) + "\n").encode("utf-8", "replace")
