"""A .slp opened through sleap-io: its videos, their names, and whole frames in the place of crops.

Virtual crops of a film (sleap-io's `Video.crop`) are taken as the film: points are moved to whole
frames, and what is labelled in several crops of a frame stands in one.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PureWindowsPath
from typing import Any

from neuroloom.core.errors import ConfigError, DataError


def sleap_io() -> Any:
    """Return the package sleap-io.

    Raises
    ------
    ConfigError
        If it is not installed.
    """
    try:
        import sleap_io as package
    except ImportError as error:
        raise ConfigError(
            f"SLEAP and NWB files need sleap-io ({error}): pip install 'neuroloom[pose]'."
        ) from error
    return package


def load_sleap(file: Path) -> Any:
    """Return sleap-io's labels of a .slp, of whole frames where they were placed in crops.

    Raises
    ------
    DataError
        If it is damaged or another thing, or holds pictures of several crops of one film.
    """
    from neuroloom.io.pandas_h5 import open_h5

    package = sleap_io()
    open_h5(file).close()
    try:
        held = package.load_slp(str(file), open_videos=False)
    except (OSError, KeyError, ValueError, IndexError, TypeError, AttributeError) as error:
        raise DataError(f"{file}: is no sound SLEAP file: {error}.") from error
    return _uncropped(held, file) if any(map(_crop, held.videos)) else held


def _crop(video: Any) -> tuple[int, ...] | None:
    """Return the rectangle (x1, y1, x2, y2), px, that a virtual crop shows of its film."""
    return (video.backend_metadata or {}).get("crop")


def _uncropped(held: Any, file: Path) -> Any:
    """Return labels with whole films in the place of their crops."""
    whole = _whole_videos(held.videos, file)
    frames: dict[tuple[int, int], Any] = {}
    for frame in held.labeled_frames:
        if crop := _crop(frame.video):
            for instance in frame.instances:
                instance.points["xy"] += crop[:2]
        frame.video = whole[id(frame.video)]
        first = frames.setdefault((id(frame.video), int(frame.frame_idx)), frame)
        if first is not frame:
            first.instances += frame.instances
    held.labeled_frames = list(frames.values())
    held.videos = list({id(video): video for video in whole.values()}.values())
    return held


def _whole_videos(videos: Iterable[Any], file: Path) -> dict[int, Any]:
    """Return for each video, by identity, that which shows its whole frames."""
    whole: dict[int, Any] = {}
    of_film: dict[str, Any] = {}
    for video in sorted(videos, key=lambda video: bool(_crop(video))):  # films before their crops
        named = str(_source(video)) if is_film(video) else str(video.filename)
        if _crop(video) and named in of_film:
            if is_packed(video):
                raise DataError(
                    f"{file}: holds pictures of several crops of {named}; save it without "
                    "pictures, beside its film."
                )
            whole[id(video)] = of_film[named]
            continue
        whole[id(video)] = _whole_video(video) if _crop(video) else video
        of_film.setdefault(named, whole[id(video)])
    return whole


def _whole_video(video: Any) -> Any:
    """Return a video that shows all of what a virtual crop shows a part of."""
    about = dict(video.backend_metadata)
    about["shape"] = about.pop("source_shape", None)
    del about["crop"], about["crop_fill"]
    return sleap_io().Video(
        filename=video.filename,
        backend_metadata=about,
        source_video=video.source_video if is_packed(video) else None,
        open_backend=False,
    )


def is_packed(video: Any) -> bool:
    """Say whether a video is pictures inside a .pkg.slp."""
    return bool((video.backend_metadata or {}).get("dataset"))


def video_names(videos: Iterable[Any]) -> dict[int, str]:
    """Return a name of its own for each video: that of the file, with its folder where needed."""
    paths = {id(video): _source(video) for video in videos}
    stems = [path.stem for path in paths.values()]
    names: dict[int, str] = {}
    for place, path in paths.items():
        lone = stems.count(path.stem) == 1
        name = path.stem if lone else f"{path.parent.name}/{path.stem}"
        while name in names.values():
            name += "_"
        names[place] = name
    return names


def _source(video: Any) -> PureWindowsPath:
    """Return the path of the video that frames are of; this class splits at both slashes."""
    while video.source_video is not None:
        video = video.source_video
    name = video.filename
    if isinstance(name, list):
        return PureWindowsPath(name[0]).parent if name else PureWindowsPath("pictures")
    return PureWindowsPath(name)


def is_film(video: Any) -> bool:
    """Say whether a video is one file, not a list of pictures."""
    return not isinstance(video.filename, list)
