"""What `eye.gaze` is asked to do: videos one by one, or the rows of a table as in DeepVOG."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from neuroloom.core.audit import Finding
from neuroloom.core.errors import DataError
from neuroloom.core.files import names_apart
from neuroloom.eye.videos import Videos, find_videos

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("operation", "fit_vid", "infer_vid", "eyeball_model", "result", "with_gaze")
OPERATIONS = {"fit": (True, False), "infer": (False, True), "both": (True, True)}


@dataclass(frozen=True)
class Job:
    """An eyeball to fit, a video to find gaze in, or both.

    Attributes
    ----------
    name
        Of its results.
    fit, infer
        The videos, if any.
    model
        Eyeball: the file to read where nothing is fitted, else the name to keep it under.
    with_gaze
        False: pupils alone.
    """

    name: str
    fit: Path | None
    infer: Path | None
    model: str = ""
    with_gaze: bool = True


@dataclass(frozen=True)
class Jobs:
    """What to do, the videos that it needs, and what the audit noticed."""

    jobs: list[Job]
    videos: Videos
    findings: list[Finding] = field(default_factory=list)
    batch: bool = False


def find_jobs(data: Path, eyeball: str | None, include: list[str]) -> Jobs:
    """Return the jobs of a video, of a folder of videos, or of a table (.csv).

    In a table, paths are relative to it; a row that cannot be done is skipped, and is a finding.

    Raises
    ------
    DataError
        If there is nothing to do.
    """
    if data.suffix.lower() == ".csv" and data.is_file():
        return read_jobs(data)
    videos = find_videos(data, include)
    jobs = [
        Job(name, None if eyeball else file, file, eyeball or name)
        for name, file in videos.files.items()
    ]
    return Jobs(jobs, videos, videos.findings)


def read_jobs(path: Path) -> Jobs:
    """Read a table of jobs.

    Its columns are operation (fit, infer or both), fit_vid, infer_vid, eyeball_model, result and
    with_gaze; the last one may be missing or empty (yes).

    Raises
    ------
    DataError
        If a column is missing or no row can be done.
    """
    import pandas as pd

    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (ValueError, OSError) as error:
        raise DataError(f"{path}: no table of jobs ({error}).") from None
    lacking = [name for name in COLUMNS[:5] if name not in table]
    if lacking:
        raise DataError(
            f"{path}: the column '{lacking[0]}' is missing; expected {', '.join(COLUMNS)}."
        )
    jobs: list[Job] = []
    findings: list[Finding] = []
    files: dict[Path, None] = {}
    for number, row in enumerate(table.itertuples(index=False), start=2):
        try:
            job = _job(row, path.parent, {known.model for known in jobs if known.fit})
            if job.infer and job.name in [known.name for known in jobs if known.infer]:
                raise DataError(f"the result '{job.name}' is that of a line above; name another.")
        except DataError as error:
            text = f"Line {number} was skipped: {error}"
            findings.append(Finding("objection", "Table", text))
            continue
        jobs.append(job)
        files |= dict.fromkeys(video for video in (job.fit, job.infer) if video)
    if not jobs:
        told = findings[0].detail if findings else "it has no rows."
        raise DataError(f"{path}: no row can be done. {told}")
    note = Finding("note", "Table", f"{len(jobs)} of {len(table)} rows can be done.")
    named = dict(zip(names_apart(list(files)), files, strict=True))
    return Jobs(jobs, Videos(named, []), [note, *findings], batch=True)


def _job(row: pd.Series, folder: Path, fitted: set[str]) -> Job:
    asked = str(row.operation).strip().lower()
    if asked not in OPERATIONS:
        raise DataError(f"operation is '{row.operation}'; expected {', '.join(OPERATIONS)}.")
    fits, infers = OPERATIONS[asked]
    fit = _video(row.fit_vid, folder, "fit_vid") if fits else None
    infer = _video(row.infer_vid, folder, "infer_vid") if infers else None
    gaze = str(getattr(row, "with_gaze", "")).strip().lower() not in ("n", "no", "false", "0")
    model = Path(str(row.eyeball_model).strip())
    if not fits and gaze and model.stem not in fitted:
        if not (folder / model).is_file():
            raise DataError(
                f"eyeball_model '{row.eyeball_model}' is neither a file nor fitted above."
            )
        kept = str(folder / model)
    else:
        kept = model.stem
    name = Path(str(row.result).strip()).stem or (infer or fit).stem  # type: ignore[union-attr]
    return Job(name, fit, infer, kept or name, gaze)


def _video(text: object, folder: Path, column: str) -> Path:
    from neuroloom.io.video import Video

    name = str(text).strip()
    file = folder / name
    if not name or not file.exists():
        raise DataError(f"{column} '{name}' is not there.")
    try:
        Video(file, grey=True, patch=True).close()
    except DataError:
        raise DataError(f"{column} '{name}' cannot be read as a video.") from None
    return file
