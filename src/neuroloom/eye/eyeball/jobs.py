"""What `eye.gaze` is asked to do: videos one by one, or the rows of a table as in DeepVOG."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from neuroloom.core.audit import Finding
from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import names_apart
from neuroloom.eye.eyeball.model import read_eyeball
from neuroloom.eye.find.pupils import Box
from neuroloom.eye.videos import Size, Videos, check_inside, find_videos

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
    """What to do, the videos that it needs, what the audit noticed, and the table, if it is one."""

    jobs: list[Job]
    videos: Videos
    findings: list[Finding] = field(default_factory=list)
    table: Path | None = None

    @property
    def files(self) -> dict[str, Path]:
        """Name -> file of what is read beside the videos: the table, eyeballs fitted elsewhere."""
        fitted = {job.model for job in self.jobs if job.fit}
        read = [job.model for job in self.jobs if job.with_gaze and job.model not in fitted]
        eyeballs = [Path(model) for model in dict.fromkeys(read)]
        named = zip(names_apart(eyeballs), eyeballs, strict=True)
        files = {f"eyeball/{name}": file for name, file in named}
        return files | ({"table": self.table} if self.table else {})


def find_jobs(data: Path, eyeball: str | None, include: list[str], roi: Box | None = None) -> Jobs:
    """Return the jobs of a video, of a folder of videos, or of a table (.csv).

    In a table, paths are relative to it. What cannot be done is skipped, and is a finding; so are
    videos that lack a part of the region `roi` (px).

    Raises
    ------
    DataError
        If there is nothing to do.
    ConfigError
        If an eyeball, or globs, are given beside a table, whose rows name theirs.
    """
    if data.suffix.lower() == ".csv" and data.is_file():
        if eyeball:
            raise ConfigError(f"eyeball: the rows of {data.name} name theirs; leave it out.")
        if include:
            raise ConfigError(f"include: the rows of {data.name} name the videos; leave it out.")
        return read_jobs(data, roi)
    if eyeball:
        read_eyeball(Path(eyeball))
    videos = find_videos(data, include)
    jobs: list[Job] = []
    findings: list[Finding] = []
    for name, file in videos.files.items():
        job = Job(name, None if eyeball else file, file, eyeball or name)
        try:
            _check_sizes(job, videos.sizes, {}, roi)
        except DataError as error:
            findings.append(Finding("objection", "Video", f"{error} It was left out."))
            continue
        jobs.append(job)
    if not jobs:
        raise DataError(findings[0].detail)
    return Jobs(jobs, videos, [*videos.findings, *findings])


def read_jobs(path: Path, roi: Box | None = None) -> Jobs:
    """Read a table of jobs.

    Its columns are operation (fit, infer or both), fit_vid, infer_vid, eyeball_model, result and
    with_gaze; the last one may be missing or empty (yes). Eyeballs and results are known by the
    whole text in their columns, a result that has none by its video.

    Raises
    ------
    DataError
        If a column is missing or no row can be done.
    """
    table = _read_table(path)
    jobs: list[Job] = []
    findings: list[Finding] = []
    sizes: dict[Path, Size] = {}
    for number, row in enumerate(table.itertuples(index=False), start=2):
        fitted = {known.model: sizes[known.fit] for known in jobs if known.fit}
        try:
            job = _job(row, path.parent, set(fitted), sizes)
            if job.infer and job.name in [known.name for known in jobs if known.infer]:
                raise DataError(f"the result '{job.name}' is that of a line above; name another.")
            _check_sizes(job, sizes, fitted, roi)
        except DataError as error:
            text = f"Line {number} was skipped: {error}"
            findings.append(Finding("objection", "Table", text))
            continue
        jobs.append(job)
    if not jobs:
        told = findings[0].detail if findings else "it has no rows."
        raise DataError(f"{path}: no row can be done. {told}")
    note = Finding("note", "Table", f"{len(jobs)} of {len(table)} rows can be done.")
    files = list(dict.fromkeys(file for job in jobs for file in (job.fit, job.infer) if file))
    videos = Videos(dict(zip(names_apart(files), files, strict=True)), [], sizes)
    return Jobs(_named_apart(jobs, path.parent), videos, [note, *findings], path)


def _read_table(path: Path) -> pd.DataFrame:
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
    return table


def _job(row: pd.Series, folder: Path, fitted: set[str], sizes: dict[Path, Size]) -> Job:
    asked = str(row.operation).strip().lower()
    if asked not in OPERATIONS:
        raise DataError(f"operation is '{row.operation}'; expected {', '.join(OPERATIONS)}.")
    fits, infers = OPERATIONS[asked]
    fit = _video(row.fit_vid, folder, "fit_vid", sizes) if fits else None
    infer = _video(row.infer_vid, folder, "infer_vid", sizes) if infers else None
    gaze = str(getattr(row, "with_gaze", "")).strip().lower() not in ("n", "no", "false", "0")
    text = str(row.eyeball_model).strip()
    model = Path(text).as_posix() if text else ""
    if not fits and gaze and model not in fitted:
        if not (folder / text).is_file():
            raise DataError(
                f"eyeball_model '{row.eyeball_model}' is neither a file nor fitted above."
            )
        model = str(folder / text)
    result, video = str(row.result).strip(), str(row.infer_vid if infers else row.fit_vid).strip()
    name = Path(result if Path(result).stem else video).as_posix()
    return Job(name, fit, infer, model or name, gaze)


def _video(text: object, folder: Path, column: str, sizes: dict[Path, Size]) -> Path:
    """Return the video of a row; its size is put into `sizes`."""
    from neuroloom.io.video import Video

    name = str(text).strip()
    file = folder / name
    if not name or not file.exists():
        raise DataError(f"{column} '{name}' is not there.")
    if file in sizes:
        return file
    try:
        with Video(file, grey=True, patch=True) as video:
            sizes[file] = video.shape[1], video.shape[0]
    except DataError:
        raise DataError(f"{column} '{name}' cannot be read as a video.") from None
    return file


def _check_sizes(
    job: Job, sizes: Mapping[Path, Size], fitted: Mapping[str, Size], roi: Box | None
) -> None:
    """Refuse videos that lack the region, or are of another size than their eyeball's."""
    for file in filter(None, (job.fit, job.infer)):
        check_inside(roi, sizes[file], file.name)
    if job.infer is None or not job.with_gaze:
        return
    size = sizes[job.fit] if job.fit else fitted.get(job.model)
    size = size or read_eyeball(Path(job.model)).size
    if size is not None and sizes[job.infer] != size:
        own, other = (" x ".join(map(str, pair)) for pair in (sizes[job.infer], size))
        raise DataError(
            f"{job.infer.name} is of {own} px, and its eyeball was fitted to frames of {other} px. "
            "Fit one to this video, or bring the video to that size."
        )


def _named_apart(jobs: list[Job], folder: Path) -> list[Job]:
    """Give each result, and each eyeball that is fitted, a name to keep it under."""
    names = _apart([job.name for job in jobs], folder)
    models = _apart([job.model for job in jobs if job.fit], folder)
    return [
        replace(job, name=names[job.name], model=models.get(job.model, job.model)) for job in jobs
    ]


def _apart(texts: list[str], folder: Path) -> dict[str, str]:
    """Return the names of paths that are relative to a folder."""
    each = list(dict.fromkeys(texts))
    return dict(zip(each, names_apart([folder / text for text in each]), strict=True))
