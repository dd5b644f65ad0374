"""Which videos a folder holds, and which of them tracks are of.

Neither what hides, nor what runs and predictions left there, is a video.
"""

from __future__ import annotations

import re
from pathlib import Path

from neuroloom.core.files import paths_inside
from neuroloom.io.labels.pictures import where_now
from neuroloom.io.tracks.door import ENDINGS
from neuroloom.io.video import is_video

_DRAWN = re.compile(r"(?P<whole>(?P<tracks>.+?)(_?filtered)?(_id|_bp)?(_p\d+)?)_labell?ed")


def videos_inside(folder: Path) -> list[Path]:
    """Return the videos of a folder, sorted; those that hide, and results of ours, are none.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as name:
    ...     folder = Path(name)
    ...     (folder / "run").mkdir()
    ...     for file in ("a.mp4", "a.h5", "a_labelled.mp4", "run/status.json", "run/recipe.yaml",
    ...                  "run/b.mp4"):
    ...         (folder / file).touch()
    ...     [file.name for file in videos_inside(folder)]
    ['a.mp4']
    """
    inside = paths_inside(folder)
    return [path for path in inside if is_video(path) and not _is_labelled(path)]


def video_of(tracks: Path, stated: str = "") -> Path | None:
    """Return the video that a file of tracks is of, or None.

    Parameters
    ----------
    stated
        What the tracks say; it may lie elsewhere now. Without, it is the video beside them whose
        name is the longest that theirs begins with.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as name:
    ...     for file in ("m1.mp4", "m10.mp4", "other.mp4"):
    ...         (Path(name) / file).touch()
    ...     tracks = Path(name) / "m10DLC_resnet50.h5"
    ...     video_of(tracks).name, video_of(tracks, "gone/other.mp4").name
    ('m10.mp4', 'other.mp4')
    """
    found = where_now(stated, tracks.parent)
    if found and is_video(found):
        return tracks.parent / found
    near = [
        path for path in sorted(tracks.parent.iterdir())
        if path.is_file() and is_video(path) and not _is_labelled(path)
        and tracks.name.startswith(path.stem)
        and not (path.stem[-1:].isdigit() and tracks.name[len(path.stem)].isdigit())
    ]  # fmt: skip
    return max(near, key=lambda path: len(path.stem), default=None)


def _is_labelled(video: Path) -> bool:
    """Say whether a video is the picture of tracks, as these or what they are of lie beside it.

    DeepLabCut says in the name which points were drawn, and how: `_filtered_id_p60_labeled`.
    """
    drawn = _DRAWN.fullmatch(video.stem)
    if not drawn:
        return False
    whole, stem = drawn["whole"], drawn["tracks"]
    tracks = (f"{name}{end}" for name in (whole, stem, f"{stem}_filtered") for end in ENDINGS)
    if any((video.parent / name).is_file() for name in tracks):
        return True
    return any(
        film != video and is_video(film)
        for film in video.parent.iterdir()
        if stem.startswith(f"{film.stem}DLC")
    )
