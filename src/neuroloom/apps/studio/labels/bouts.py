"""Events and bouts on videos and signals: what somebody did, and when."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from neuroloom.apps.studio.labels.work import Work, names_of, plain_text
from neuroloom.core.errors import ConfigError, DataError, nearest
from neuroloom.core.files import read_json, write_json
from neuroloom.io.bouts import FORMATS, Bouts, read_bouts, write_bouts

KINDS = ("state", "point")
KEYS = "qwertyuiopsdfghjklzxcvbnm"
_ID = re.compile(r"^[A-Za-z0-9-]{1,40}$")


class Watched(Work):
    """Bouts of one recording; kept as `bouts.json`, and as tables in `project/`."""

    kind = "bouts"

    @staticmethod
    def begin(folder: Path, source: Path, options: dict[str, Any]) -> dict[str, Any]:
        """Begin with a video or a signal.

        `options`: `behaviours`, names, "(p)" after one makes it a point event; `subjects`, names;
        `events`, a file of bouts to begin with.
        """
        facts = _medium(source)
        behaviours = _behaviours(options.get("behaviours"))
        subjects = list(dict.fromkeys(names_of(options.get("subjects"), "subjects")))
        rows: list[dict[str, Any]] = []
        if options.get("events_path"):
            given = read_bouts(options["events_path"])
            rows = [_plain(f"given-{k}", row) for k, row in enumerate(given.rows())]
            behaviours = _with_those_of(given, behaviours)
            subjects = list(dict.fromkeys([*subjects, *(who for who in given.subjects if who)]))
            _refuse_overlap(rows)
        if not behaviours:
            raise ConfigError("behaviours: name at least one, for example grooming, rearing (p).")
        write_json(folder / "bouts.json", {"bouts": rows, "behaviours": behaviours})
        return facts | {"subjects": subjects, "media": source.name}

    def open(self) -> None:
        """Read what is kept."""
        held = read_json(self.folder / "bouts.json")
        self.bouts: dict[str, dict[str, Any]] = {row["id"]: row for row in held["bouts"]}
        self.behaviours: list[dict[str, str]] = held["behaviours"]
        self.project.mkdir(exist_ok=True)

    def progress(self) -> tuple[int, int, str]:
        """Return how many bouts there are; nobody knows of how many."""
        return len(self.bouts), 0, "bouts"

    def header(self) -> dict[str, Any]:
        """Return the medium, behaviours with their keys, subjects, and all bouts."""
        known = ("medium", "rate", "duration", "frames", "width", "height", "media", "subjects")
        return {
            **{name: self.facts.get(name) for name in known},
            "data": self.facts.get("source", ""),
            "behaviours": self.behaviours,
            "bouts": sorted(self.bouts.values(), key=lambda row: (row["start"], row["stop"])),
            "formats": [[name, shown] for name, (_, _, shown) in FORMATS.items()],
        }

    def apply(self, edits: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Carry out edits: `op` is "put", "remove", "behaviour" or "subject".

        "put" sets the bout `id` to `start`, `stop` (s), `behaviour`, `subject`, `comment`;
        "remove" takes `id` away; "behaviour" sets `name`, `kind` and `key`; "subject" adds `name`.
        """
        bouts, behaviours = dict(self.bouts), [dict(one) for one in self.behaviours]
        subjects = list(self.facts.get("subjects") or [])
        lines = [self._one(edit, bouts, behaviours, subjects) for edit in edits]
        if any(edit.get("op") == "put" for edit in edits):
            _refuse_overlap(list(bouts.values()))
        rows = sorted(bouts.values(), key=lambda row: (row["start"], row["stop"]))
        write_json(self.folder / "bouts.json", {"bouts": rows, "behaviours": behaviours})
        self.bouts, self.behaviours = bouts, behaviours
        if subjects != self.facts.get("subjects"):
            self.keep(subjects=subjects)
        self.flush()
        return lines

    def _one(
        self, edit: dict[str, Any], bouts: dict[str, dict[str, Any]],
        behaviours: list[dict[str, str]], subjects: list[str],
    ) -> dict[str, Any]:  # fmt: skip
        op = edit.get("op")
        if op == "put":
            row = self._row(edit, [one["name"] for one in behaviours], subjects)
            before = bouts.get(row["id"])
            bouts[row["id"]] = row
            return {"op": op, "id": row["id"], "from": _told(before), "to": _told(row)}
        if op == "remove":
            before = bouts.pop(str(edit.get("id")), None)
            if before is None:
                raise ConfigError(f"id: there is no bout '{edit.get('id')}'; it may be gone.")
            return {"op": op, "id": before["id"], "from": _told(before), "to": None}
        if op == "behaviour":
            return _behaviour(edit, behaviours)
        if op == "subject":
            name = plain_text(edit.get("name", ""))[:80]
            if not name or name in subjects:
                raise ConfigError(f"name: expected a new subject, got '{name}'.")
            subjects.append(name)
            return {"op": op, "from": None, "to": name}
        raise ConfigError(f"op: expected put, remove, behaviour or subject, got {op!r}.")

    def _row(self, edit: dict[str, Any], names: list[str], subjects: list[str]) -> dict[str, Any]:
        """Return a bout of an edit, its times to the microsecond and within the recording."""
        what, who = str(edit.get("behaviour", "")), str(edit.get("subject", "") or "")
        if not _ID.match(str(edit.get("id", ""))):
            raise ConfigError("id: expected up to 40 letters, digits or hyphens.")
        if what not in names:
            raise ConfigError(f"behaviour: there is no '{what}'.{nearest(what, names)}")
        if who and who not in subjects:
            raise ConfigError(f"subject: there is no '{who}'.{nearest(who, subjects)}")
        times = [_time(edit, name) for name in ("start", "stop")]
        longest = float(self.facts["duration"])
        start, stop = (round(min(time, longest), 6) for time in times)
        if stop < start:
            raise ConfigError(f"stop: {stop} s is before the start, {start} s.")
        comment = plain_text(edit.get("comment", "") or "")[:500]
        return _plain(str(edit["id"]), (start, stop, what, who, comment))

    def held(self) -> Bouts:
        """Return all bouts."""
        rows = [tuple(row[k] for k in ("start", "stop", "behaviour", "subject", "comment"))
                for row in self.bouts.values()]  # fmt: skip
        return Bouts.of(
            rows, rate=self.facts["rate"], duration=self.facts["duration"],
            media=self.facts.get("media", ""),
        )  # fmt: skip

    def flush(self) -> None:
        """Write our own table of all bouts."""
        write_bouts(self.held(), self.project / "bouts.csv", "csv")

    def export(self, format: str) -> Path:
        """Write the bouts in a format."""
        wanted = format or "csv"
        ending = FORMATS.get(wanted, ("", ".csv", ""))[1]
        stem = Path(self.facts.get("media") or "bouts").stem
        name = f"{stem}_{wanted}{ending}" if ending == ".csv" else f"{stem}{ending}"
        with self.lock:
            return write_bouts(self.held(), self.project / name, wanted)


def _medium(source: Path) -> dict[str, Any]:
    """Return what is known of a video or a signal: rate (Hz), duration (s), size (px)."""
    from neuroloom.io.recordings.reader import peek
    from neuroloom.io.video import Video, is_video

    if is_video(source):
        with Video(source) as video:
            height, width, _ = video.shape
            rate, frames = float(video.rate), len(video)
        facts = {"frames": frames, "width": width, "height": height}
        return facts | {"medium": "video", "rate": rate, "duration": round(frames / rate, 6)}
    head = peek(source)
    return {"medium": "signal", "rate": float(head.rate), "duration": round(head.duration, 6)}


def _behaviours(given: Any) -> list[dict[str, str]]:
    """Return name, kind and key of each; a key is the first free letter of the name."""
    made: list[dict[str, str]] = []
    for text in dict.fromkeys(names_of(given, "behaviours")):
        point = text.endswith("(p)")
        name = text.removesuffix("(p)").strip()
        if not name or name in [one["name"] for one in made]:
            continue
        made.append(
            {"name": name, "kind": KINDS[point], "key": _free_key(name, [m["key"] for m in made])}
        )
    return made


def _free_key(name: str, taken: list[str]) -> str:
    letters = [letter for letter in name.lower() if letter in KEYS] + list(KEYS)
    return next((letter for letter in letters if letter not in taken), "")


def _with_those_of(given: Bouts, behaviours: list[dict[str, str]]) -> list[dict[str, str]]:
    made = [dict(one) for one in behaviours]
    for what in given.behaviours:
        if what not in [one["name"] for one in made]:
            point = bool(given.is_point[(given.table["behaviour"] == what).to_numpy()].all())
            key = _free_key(what, [one["key"] for one in made])
            made.append({"name": what, "kind": KINDS[point], "key": key})
    return made


def _behaviour(edit: dict[str, Any], behaviours: list[dict[str, str]]) -> dict[str, Any]:
    name = plain_text(edit.get("name", ""))[:80]
    if not name:
        raise ConfigError("name: a behaviour needs a name.")
    known = next((one for one in behaviours if one["name"] == name), None)
    others = [one["key"] for one in behaviours if one is not known]
    key = str(edit.get("key") or (known or {}).get("key") or _free_key(name, others)).lower()
    kind = str(edit.get("kind") or (known or {}).get("kind") or "state")
    if kind not in KINDS or (key and (key not in KEYS or key in others)):
        raise ConfigError(
            f"A behaviour is a state or a point with a free key of {KEYS}; got '{kind}', '{key}'."
        )
    before = dict(known) if known else None
    made = {"name": name, "kind": kind, "key": key}
    if known:
        known.update(made)
    else:
        behaviours.append(made)
    return {"op": "behaviour", "from": before, "to": made}


def _time(edit: dict[str, Any], name: str) -> float:
    value = edit.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        raise ConfigError(f"{name}: expected seconds from 0 on, got {value!r}.")
    return float(value)


def _plain(id: str, row: tuple[float, float, str, str, str]) -> dict[str, Any]:
    start, stop, what, who, comment = row
    return {"id": id, "start": start, "stop": stop, "behaviour": what, "subject": who,
            "comment": comment}  # fmt: skip


def _told(row: dict[str, Any] | None) -> Any:
    return row and {k: v for k, v in row.items() if k != "id" and v != ""}


def _refuse_overlap(rows: list[dict[str, Any]]) -> None:
    """Refuse that a subject does the same twice at once: no format could hold it."""
    keys = ("start", "stop", "behaviour", "subject", "comment")
    bouts = Bouts.of([tuple(row[k] for k in keys) for row in rows])
    if pairs := bouts.overlaps():
        first, second = (bouts.rows()[k] for k in pairs[0])
        who = f" of {first[3]}" if first[3] else ""
        raise DataError(
            f"'{first[2]}'{who} from {first[0]} to {first[1]} s and from {second[0]} to "
            f"{second[1]} s overlap; shorten one."
        )
