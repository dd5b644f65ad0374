"""ChArUco boards: what they look like, and where cameras see their corners.

Markers between the squares of a chessboard tell which corner is which (Garrido-Jurado et al. 2014),
so that a board may be half out of view.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import paths_inside

if TYPE_CHECKING:
    from neuroloom.io.video import Video

Floats = NDArray[np.float64]

CLIPS = (".mov", ".mp4", ".avi", ".mkv", ".m4v", ".mpg", ".mpeg", ".webm")
FEWEST_CORNERS = 6
# Cameras that have a number or a letter only.
CAMERA = re.compile(r"cam(?:era)?[_-]?(\d+|[a-z])", re.IGNORECASE)
# Keys of sleap-anipose's board.toml, then of anipose's config.toml, [calibration].
KEYS = {
    "columns": ("board_x",),
    "rows": ("board_y",),
    "square": ("square_length", "board_square_side_length"),
    "marker": ("marker_length", "board_marker_length"),
    "bits": ("marker_bits", "board_marker_bits"),
    "dictionary": ("dict_size", "board_marker_dict_number"),
}


@dataclass(frozen=True)
class Board:
    """A ChArUco board.

    Parameters
    ----------
    columns, rows
        Squares across and down.
    square, marker
        Side of a square and of a marker, mm.
    bits, dictionary
        Cells across a marker (4 to 7) and how many markers the dictionary has (50 to 1000).

    Raises
    ------
    ConfigError
        If there is no such board.

    Examples
    --------
    >>> Board(3, 3, 20.0, 15.0).corners.tolist()[:2]
    [[20.0, 20.0, 0.0], [40.0, 20.0, 0.0]]
    """

    columns: int
    rows: int
    square: float
    marker: float
    bits: int = 4
    dictionary: int = 1000

    def __post_init__(self) -> None:
        if self.columns < 2 or self.rows < 2 or self.columns * self.rows < 6:
            raise ConfigError(
                f"board: expected 2 x 3 squares or more, got {self.columns} x {self.rows}."
            )
        if not 0 < self.marker < self.square:
            raise ConfigError(
                f"board: a marker ({self.marker} mm) must be smaller than a square "
                f"({self.square} mm)."
            )
        if self.bits not in (4, 5, 6, 7) or self.dictionary not in (50, 100, 250, 1000):
            raise ConfigError(
                f"board: there is no dictionary of {self.dictionary} markers with {self.bits} x "
                f"{self.bits} bits; there are 50, 100, 250 and 1000 with 4 to 7."
            )

    @property
    def corners(self) -> Floats:
        """Inner corners in OpenCV's order, shape (corner, 3), mm, in the plane z = 0."""
        y, x = np.mgrid[1 : self.rows, 1 : self.columns] * self.square
        return np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], axis=-1)

    def neighbours(self) -> NDArray[np.int64]:
        """Pairs of corners that are one square apart, shape (pair, 2)."""
        number = np.arange((self.rows - 1) * (self.columns - 1)).reshape(self.rows - 1, -1)
        across = np.stack([number[:, :-1].ravel(), number[:, 1:].ravel()], -1)
        down = np.stack([number[:-1].ravel(), number[1:].ravel()], -1)
        return np.concatenate([across, down])


@dataclass(frozen=True, eq=False)
class Detections:
    """Where the cameras of a rig saw a board at the same moments.

    Attributes
    ----------
    names
        Of the cameras.
    sizes
        Width and height of their images, px.
    corners
        Shape (camera, frame, corner, 2), px; NaN where a corner was not seen.
    frames
        Number of each frame in the clips, shape (frame,).
    damaged
        Camera -> how many of its frames cannot be decoded, where there are any; nothing is seen in
        them.
    notes
        What a careful reader should know of the clips: that they differ in length, or that the
        rate of one changes.
    """

    board: Board
    names: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]
    corners: Floats
    frames: NDArray[np.int64]
    damaged: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def seen(self) -> NDArray[np.int64]:
        """How many corners each camera saw in each frame, shape (camera, frame)."""
        return np.isfinite(self.corners).all(-1).sum(-1)

    @property
    def telling(self) -> NDArray[np.bool_]:
        """Which views tell the board's pose, shape (camera, frame).

        They have `FEWEST_CORNERS` or more, and two of them beside any straight line: a single row
        of the board, and one corner beside it, may lie in many ways.
        """
        there = np.isfinite(self.corners).all(-1)
        places = self.board.corners[:, :2] / self.board.square
        products = places[:, :, None] * places[:, None]
        # What is left without one of the corners, each in turn, must spread in two directions.
        count = np.maximum(there.sum(-1) - 1, 1)[..., None, None, None]
        mean = ((there @ places)[..., None, :] - places) / count[..., 0]
        spread = (np.einsum("cfk,kij->cfij", there, products)[:, :, None] - products) / count
        area = np.linalg.det(spread - mean[..., :, None] * mean[..., None, :])
        least = np.where(there, area, np.inf).min(-1)
        return np.asarray((self.seen >= FEWEST_CORNERS) & (least > 1e-6))

    def only_telling(self) -> Detections:
        """Return the detections without the corners of views that do not tell the board's pose."""
        corners = np.where(self.telling[..., None, None], self.corners, np.nan)
        return replace(self, corners=corners)

    def take(self, rows: np.ndarray) -> Detections:
        """Return the detections in some of the frames."""
        return Detections(
            self.board, self.names, self.sizes, self.corners[:, rows], self.frames[rows]
        )

    def of(self, names: Sequence[str]) -> Detections:
        """Return the detections of some of the cameras."""
        index = [self.names.index(name) for name in names]
        sizes = tuple(self.sizes[i] for i in index)
        return Detections(self.board, tuple(names), sizes, self.corners[index], self.frames)


def read_board(path: str | Path) -> Board:
    r"""Read a board.toml of sleap-anipose, or [calibration] of anipose's config.toml.

    Raises
    ------
    DataError
        If a measure of the board is missing or none.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "board.toml"
    >>> text = "board_x = 8\nboard_y = 11\nsquare_length = 24.0\nmarker_length = 18.75"
    >>> _ = file.write_text(text)
    >>> read_board(file).columns
    8
    """
    import tomllib

    file = Path(path)
    try:
        known = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{file.name} is no TOML that can be read ({error}).") from None
    known = known.get("calibration", known)
    if "board_size" in known:
        known = known | dict(zip(("board_x", "board_y"), known["board_size"], strict=False))
    if str(known.get("board_type", "charuco")).lower() != "charuco":
        raise DataError(
            f"{file.name}: the board is a '{known['board_type']}'; only 'charuco' boards, whose "
            "markers tell which corner is which, are read."
        )
    fields = {name: known[k] for name, keys in KEYS.items() for k in keys if k in known}
    lacking = [KEYS[name][0] for name in ("columns", "rows", "square", "marker")
               if name not in fields]  # fmt: skip
    if lacking:
        raise DataError(f"{file.name}: the board's {', '.join(lacking)} are missing.")
    try:
        return Board(**fields)
    except (ConfigError, TypeError) as error:
        raise DataError(f"{file.name}: {error}") from None


def board_finder(board: Board) -> Callable[[np.ndarray], Floats]:
    """Return a function from a grey image (y, x) uint8 to the board's corners (corner, 2), px.

    Corners that are not seen are NaN. Only the board's own markers are looked for, which takes an
    eighth of the time of the whole dictionary of 1000.

    Examples
    --------
    >>> find = board_finder(Board(4, 5, 20.0, 15.0))
    >>> bool(np.isnan(find(np.zeros((100, 120), np.uint8))).all())
    True
    """
    import cv2

    name = f"DICT_{board.bits}X{board.bits}_{board.dictionary}"
    known = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, name))
    markers = board.columns * board.rows // 2
    if markers > board.dictionary:
        raise ConfigError(
            f"board: {board.columns} x {board.rows} squares need {markers} markers, the dictionary "
            f"has {board.dictionary}."
        )
    own = cv2.aruco.Dictionary(known.bytesList[:markers], known.markerSize, known.maxCorrectionBits)
    size, scale = (board.columns, board.rows), (board.square, board.marker)
    # Boards printed before OpenCV 4.6 begin with another square where rows are even in number.
    detectors = []
    for legacy in (False, True)[: 2 - board.rows % 2]:
        drawn = cv2.aruco.CharucoBoard(size, *scale, own)
        drawn.setLegacyPattern(legacy)
        detectors.append(cv2.aruco.CharucoDetector(drawn))
    return partial(_find, detectors, (board.columns - 1) * (board.rows - 1))


def _find(detectors: Sequence[Any], n: int, image: np.ndarray) -> Floats:
    best = np.full((n, 2), np.nan)
    for detector in detectors:
        places, numbers = detector.detectBoard(np.ascontiguousarray(image))[:2]
        if numbers is None or len(numbers) <= np.isfinite(best[:, 0]).sum():
            continue
        best = np.full((n, 2), np.nan)
        best[np.ravel(numbers)] = np.reshape(places, (-1, 2))
    return best


def detect_board(
    clips: dict[str, Path], board: Board, most: int = 200, tell: Callable[[str], None] | None = None
) -> Detections:
    """Find the board in synchronised clips, one of each camera, turned as they are shown.

    Parameters
    ----------
    clips
        Camera -> video.
    most
        At most so many frames, evenly spread over the shortest clip.
    tell
        Called with a camera's name once its clip is done.

    Raises
    ------
    DataError
        If no frame of a clip can be decoded, a camera never sees the board, or the rates differ.
    """
    from neuroloom.io.video import Video

    find, parts, sizes = board_finder(board), [], []
    damaged: dict[str, int] = {}
    with ExitStack() as opened:
        videos = [
            opened.enter_context(Video(path, grey=True, patch=True)) for path in clips.values()
        ]
        notes = _run_together(dict(zip(clips, videos, strict=True)))
        shortest = min(map(len, videos))
        frames = np.unique(np.linspace(0, shortest - 1, min(most, shortest)).round().astype(int))
        for name, video in zip(clips, videos, strict=True):
            found = np.stack([find(video.read([number])[0, ..., 0]) for number in frames])
            if not np.isfinite(found).any():
                raise DataError(
                    f"{video.path.name}: camera '{name}' never sees the board ({board.columns} x "
                    f"{board.rows} squares, markers of {board.bits} bits). Is the image mirrored, "
                    "or the board another one?"
                )
            if lost := int(video.damaged[frames].sum()):
                damaged[name] = lost
            parts.append(found)
            sizes.append((video.shape[1], video.shape[0]))
            if tell is not None:
                tell(name)
    return Detections(board, tuple(clips), tuple(sizes), np.stack(parts), frames, damaged, notes)


def _run_together(videos: dict[str, Video]) -> tuple[str, ...]:
    """Return what is to be known of the clips of cameras; different rates are refused."""
    from neuroloom.pose.rig.networks import require_one_rate

    require_one_rate(
        [(one.rate, f"{one.path.parent.name}/{one.path.name}") for one in videos.values()]
    )
    notes = [note for video in videos.values() for note in video.notes]
    lengths = {name: len(video) for name, video in videos.items()}
    if min(lengths.values()) < max(lengths.values()):
        told = ", ".join(f"{name}: {count}" for name, count in lengths.items())
        notes.append(
            f"Frames by camera: {told}. They are taken to begin together; what comes after the end "
            "of the shortest is left out."
        )
    return tuple(notes)


def find_board(data: Path) -> Path:
    """Return the TOML that describes the board: board.toml, else config.toml.

    Raises
    ------
    DataError
        If the folder has neither.
    """
    for name in ("board.toml", "config.toml"):
        if (data / name).is_file():
            return data / name
    raise DataError(
        f"{data}: neither board.toml nor config.toml describes the board. Write board.toml with "
        "board_x, board_y (squares), square_length, marker_length (mm), marker_bits and dict_size."
    )


def find_clips(data: Path, include: Sequence[str] = ()) -> dict[str, Path]:
    """Return the clip of each camera; those with "calib" in their name, if any have it.

    A camera is named by the nearest folder above its clip where every clip has another there, else
    by the words that differ in the files' names: "calib_left" is "left"; so are "camA" and "cam1"
    "A" and "1". Where no words differ, it is named by the folder its clip lies in, be that `data`.

    Raises
    ------
    DataError
        If there are fewer than two, or two of one camera.
    """
    from neuroloom.io.cases.layouts import included

    files = [file for file in paths_inside(data) if file.suffix.lower() in CLIPS]
    files = [file for file in files if included(file.relative_to(data).as_posix(), include)]
    marked = [file for file in files if "calib" in file.name.lower()]
    files = marked or files
    if len(files) < 2:
        raise DataError(f"{data}: expected a clip for each of two cameras or more, found {files}.")
    inside = [file.relative_to(data) for file in files]
    names = _folders_apart(inside) or _words_apart([file.stem for file in files])
    if len(set(names)) < len(names):
        around = [file.absolute().parent.name for file in files]
        names = around if len(set(around)) == len(around) else names
    if len(set(names)) < len(names):
        same = [one.as_posix() for one, name in zip(inside, names, strict=True)
                if names.count(name) > 1]  # fmt: skip
        raise DataError(
            f"{data}: two clips belong to one camera ({', '.join(same[:4])}); narrow them with "
            "`include`, by a glob with '/' if the folders tell them apart."
        )
    return dict(zip(names, files, strict=True))


def _folders_apart(files: Sequence[Path]) -> list[str]:
    """Return the names of the nearest folders that all differ; none where no level has such."""
    levels = zip(*(reversed(file.parts[:-1]) for file in files), strict=False)
    return next((list(level) for level in levels if len(set(level)) == len(level)), [])


def _words_apart(stems: Sequence[str]) -> list[str]:
    """Return what is left of names without the words that all begin and end with."""
    start = _common_words(stems)
    stop = _common_words([stem[start:][::-1] for stem in stems])
    names = [stem[start : len(stem) - stop].strip("_-. ") or stem for stem in stems]
    bare = [CAMERA.fullmatch(name) for name in names]
    return [found[1] for found in bare if found] if all(bare) else names


def _common_words(names: Sequence[str]) -> int:
    """Return how many characters all names begin with, up to the end of a word in each."""
    first, last = min(names), max(names)
    same = [a == b for a, b in zip(first, last, strict=False)]
    length = same.index(False) if False in same else len(same)
    return next(n for n in range(length, -1, -1) if not any(_cuts_word(name, n) for name in names))


def _cuts_word(name: str, place: int) -> bool:
    return name[max(place - 1, 0) : place].isalnum() and name[place : place + 1].isalnum()
