"""The door of labelled projects: which format it is, and back into the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from neuroloom.core.errors import ConfigError, DataError, NeuroloomError
from neuroloom.core.files import check_there
from neuroloom.core.registry import load, table
from neuroloom.io.labels.model import Labels, listed
from neuroloom.io.labels.usable import keep_usable, with_depth


def read_labels(path: str | Path, usable: bool = True, depth: int | None = None) -> Labels:
    r"""Read the labelled frames of a project as it is: a folder or a file.

    Parameters
    ----------
    path
        A DeepLabCut or Lightning Pose project, a SLEAP file, a DeepPoseKit set, COCO keypoints,
        a Label3D file, or NWB with ndx-pose.
    usable
        Leave out frames whose picture is gone or in which nothing is labelled, and points outside
        their picture; the notes name them. False keeps all as it stands, to convert a project.
    depth
        Bits that values of pictures have at least where they have more than 8, as a net learnt
        them. They have as many as the largest value of all pictures.

    Raises
    ------
    DataError
        If it is none of them, is damaged, or has no usable frame; it names the file and the row.

    Examples
    --------
    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("L", (64, 48)).save(Path(folder) / "img0.png")
    ...     table = "scorer,me,me\nbodyparts,nose,nose\ncoords,x,y\nimg0.png,3.5,4\n"
    ...     _ = (Path(folder) / "CollectedData.csv").write_text(table)
    ...     labels = read_labels(folder)
    ...     labels.source, labels.points.tolist(), labels.image(0).shape
    ('lightning-pose', [[[[3.5, 4.0]]]], (48, 64, 1))
    """
    path = Path(path)
    check_there(path)
    labels: Labels = at_gate("label", recognise(path), "read", path)
    return keep_usable(with_depth(labels, depth)) if usable else labels


def recognise(path: Path) -> str:
    """Return the name of the format that `path` is in.

    Raises
    ------
    DataError
        If it is none that is known, or a folder of several.
    """
    if name := _claiming(path):
        return name
    inside = [item.name for item in _visible(path) if _claiming(item)]
    if inside:
        raise DataError(f"{path}: holds projects or files of labels ({listed(inside)}); name one.")
    raise DataError(
        f"{path}: is no project of labelled frames that is known ({', '.join(known())}). Expected, "
        "for example, config.yaml beside labeled-data/, CollectedData.csv, .slp, or COCO .json."
    )


def _claiming(path: Path) -> str | None:
    """Return the first format that claims a path, if one does."""
    return next((name for name in known() if at_gate("label", name, "claims", path)), None)


def _visible(folder: Path) -> list[Path]:
    """Return what lies in a folder, sorted, without what hides."""
    inside = sorted(folder.iterdir()) if folder.is_dir() else []
    return [item for item in inside if not item.name.startswith(".")]


def known() -> list[str]:
    """Return the names of the formats in the order in which they are tried."""
    return list(table("label"))


def write_labels(
    labels: Labels, path: str | Path, format: str | None = None, images: bool = True
) -> list[Path]:
    """Write labels as a project, in the format they came from or another.

    Parameters
    ----------
    labels
        What to write.
    path
        A folder for "dlc", "lightning-pose", "deepposekit"; else a file.
    format
        Name of the format.
    images
        Whether the pictures go with them, where the format keeps pictures.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    DataError
        If the format cannot hold them.
    """
    return load("label", format or labels.source).write(labels, Path(path), images)


def at_gate(kind: str, name: str, verb: str, path: Path, *more: Any) -> Any:
    """Call a format's function on a file; whatever damaged bytes raise becomes one clear error.

    The libraries below (HDF5, SciPy, JSON, sleap-io) raise a dozen kinds of errors on a file
    that is cut off or has wrong bytes, and none of them names it.

    Raises
    ------
    DataError
        Naming the file and what was wrong.
    ConfigError
        If a package is not installed that the format needs.
    """
    try:
        return getattr(load(kind, name), verb)(path, *more)
    except NeuroloomError:
        raise
    except ImportError as error:
        raise ConfigError(
            f"{path}: '{name}' needs a package that is not installed ({error}): pip install "
            "'neuroloom[pose]'."
        ) from error
    except Exception as error:
        why = str(error).strip() or "no reason given"
        raise DataError(
            f"{path}: is damaged, it cannot be read as '{name}' ({type(error).__name__}: {why}). "
            "Copy or export it again."
        ) from error
