"""How near made images are to real ones, and the images themselves on disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuroloom.core.audit import keep_findings
from neuroloom.core.dataset import Dataset, named_apart
from neuroloom.core.errors import ConfigError
from neuroloom.core.files import write_atomic, write_json
from neuroloom.core.run import check_out
from neuroloom.volumes.synthesis.data import inside
from neuroloom.volumes.synthesis.novelty import nearest
from neuroloom.volumes.whole.frames import Frame, put_back, scale_of

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.core.run import Run
    from neuroloom.volumes.synthesize import Synthesize

WINDOW = 7


def psnr(real: np.ndarray, made: np.ndarray) -> float:
    """Return the peak signal-to-noise ratio, dB: squared range of the real image over the error.

    Examples
    --------
    >>> psnr(np.array([0.0, 10.0]), np.array([1.0, 9.0]))
    20.0
    """
    error = float(np.mean((np.asarray(real, np.float64) - made) ** 2))
    span = float(np.ptp(real))
    if error == 0:
        return float("inf")
    return float(10 * np.log10(span**2 / error)) if span else float("nan")


def ssim(real: np.ndarray, made: np.ndarray) -> float:
    """Return the structural similarity (Wang et al. 2004) in windows of 7, or smaller.

    Examples
    --------
    >>> image = np.arange(100.0).reshape(10, 10)
    >>> ssim(image, image)
    1.0
    """
    from skimage.metrics import structural_similarity

    window = min(WINDOW, *real.shape)
    window -= 1 - window % 2
    span = float(np.ptp(real))
    if window < 3 or span == 0 or np.isnan(span):
        return float("nan")
    return float(structural_similarity(real, made, win_size=window, data_range=span))


def rows_of_images(dataset: Dataset, rows: np.ndarray, made: np.ndarray) -> pd.DataFrame:
    """Return a row for each made image: whose it is, PSNR and SSIM, means over channels.

    Padding is left out. `y_true` and `y_pred` are the SDs of the real and the made image: what is
    made too smooth has less.
    """
    table = dataset.table.iloc[rows].reset_index(drop=True)
    out = table[["path", "subject", "session", "run"]].copy()
    out.insert(0, "example", rows)
    pairs = zip(rows, paired(dataset, rows, made), strict=False)
    found = [_of_one(dataset, int(row), one) for row, one in pairs]
    for k, name in enumerate(("y_true", "y_pred", "psnr", "ssim")):
        out[name] = np.array([values[k] for values in found], dtype=float)
    return out


def real_image(dataset: Dataset, row: int) -> np.ndarray:
    """Return the real image of a row: what was to be made, or, of noise, the image itself."""
    of_noise = dataset.truth is None or np.ndim(dataset.truth) == 1
    return np.asarray(dataset.x[row] if of_noise else dataset.truth[row])  # type: ignore[index]


def paired(dataset: Dataset, rows: np.ndarray, made: np.ndarray) -> np.ndarray:
    """Return the made image that belongs to each row; of noise, the one that is nearest to it."""
    if dataset.truth is None or np.ndim(dataset.truth) != 1 or len(rows) == 0:
        return made
    return made[nearest(np.asarray(dataset.x[rows]), made)]


def _of_one(dataset: Dataset, row: int, made: np.ndarray) -> tuple[float, float, float, float]:
    extent = str(dataset.table["extent"].iloc[row])
    real, made = inside(real_image(dataset, row), extent), inside(made, extent)
    pairs = list(zip(real.astype(np.float64), made.astype(np.float64), strict=True))
    return (
        float(real.std()),
        float(made.std()),
        float(np.mean([psnr(a, b) for a, b in pairs])),
        float(np.mean([ssim(a, b) for a, b in pairs])),
    )


def predict_images(
    study: Synthesize, run: Run, inputs: list[Path], out: Path | str | None = None
) -> pd.DataFrame:
    """See `Synthesize.predict`."""
    import pandas as pd

    if not inputs:
        raise ConfigError("predict needs a file or a folder of images.")
    if out is not None:
        check_out(Path(out))
    ensemble = study.load_model(run)
    datasets = [study.read_like(ensemble.facts, source, []) for source in inputs]
    files = [case.images[0] for dataset in datasets for case in dataset.extra["cases"]]
    findings = [finding for dataset in datasets for finding in dataset.findings]
    parts = []
    for dataset in named_apart(datasets, files):
        made = study.outcome(ensemble, dataset)
        rows = rows_of_images(dataset, np.arange(len(dataset)), made)
        named = dataset.table[["name", "path", "subject"]]
        parts.append(named.assign(psnr=rows["psnr"], ssim=rows["ssim"]))
        if out is not None:
            _write_images(Path(out), dataset, made)
    table = pd.concat(parts, ignore_index=True)
    table.attrs["findings"] = keep_findings(findings, None if out is None else Path(out))
    if out is not None:
        _write_table(Path(out), table, run)
    return table


def _write_images(out: Path, dataset: Dataset, made: np.ndarray) -> None:
    out.mkdir(parents=True, exist_ok=True)
    of_noise = dataset.truth is not None and np.ndim(dataset.truth) == 1
    for row, one in enumerate(made):
        stem = out / f"{str(dataset.table['name'].iloc[row]).replace('/', '_')}_made"
        if of_noise:
            _write_new(stem, dataset, row, one)
        else:
            _write_on_input(stem, dataset, row, one)


def _write_on_input(stem: Path, dataset: Dataset, row: int, made: np.ndarray) -> None:
    """Write what was made of an image on the grid of its file, and in its unit if it has one."""
    from neuroloom.io.images import write_image

    case, frame = dataset.extra["cases"][row], Frame.of(dataset.facts)
    back = put_back(made, frame, case.shape, case.spacing)
    if dataset.facts["made"] == dataset.facts["channels"]:
        mean, spread = scale_of(case.image(), together=len(frame.shape) == 2)
        back = back * spread + mean
    content = case.in_file_order(back.astype(np.float32))
    suffix = ".tif" if len(frame.shape) == 2 else ".nii.gz"
    write_image(f"{stem}{suffix}", content, like=case.recording())


def _write_new(stem: Path, dataset: Dataset, row: int, made: np.ndarray) -> None:
    """Write an image that was made of noise on the common grid, standardised."""
    from neuroloom.core.recording import image, volume
    from neuroloom.io.images import write_image

    facts = dataset.facts
    shown = inside(made, str(dataset.table["extent"].iloc[row])).astype(np.float32)
    if facts["kind"] == "image":
        size = (float(facts["spacing"][0]), float(facts["spacing"][1]))
        write_image(f"{stem}.tif", image(shown, size, facts["unit"]))
        return
    affine = np.diag([*facts["spacing"][::-1], 1.0])
    write_image(f"{stem}.nii.gz", volume(shown.transpose(0, 3, 2, 1), affine))


def _write_table(out: Path, table: pd.DataFrame, run: Run) -> None:
    out.mkdir(parents=True, exist_ok=True)
    write_atomic(out / "predictions.parquet", lambda path: table.to_parquet(path, index=False))
    write_atomic(out / "predictions.csv", lambda path: table.to_csv(path, index=False))
    facts = {"run": run.folder.name, "examples": len(table)}
    write_json(out / "status.json", {"state": "done", "recipe": "predict", **facts})
