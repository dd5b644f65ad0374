"""What a finished run makes of new images, on disk: each on its own grid, or on one finer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.audit import keep_findings
from neuroloom.core.dataset import Dataset, named_apart
from neuroloom.core.errors import ConfigError
from neuroloom.core.files import write_atomic, write_json
from neuroloom.learn.parts import Parts, about
from neuroloom.volumes.synthesis.data import FACTOR, coarser, image_of
from neuroloom.volumes.synthesis.fidelity import nearness, rows_of_images
from neuroloom.volumes.whole.data import are_colours
from neuroloom.volumes.whole.frames import Frame, put_back, scale_of, standardised

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from neuroloom.core.run import Run
    from neuroloom.io.cases import Case
    from neuroloom.learn.store import Ensemble
    from neuroloom.volumes.synthesize import Synthesize

AT_ONCE = 2_000_000  # places of an image that is made finer
MARGIN = 8  # places beside them that a net looks at
Made = tuple["xr.DataArray", float, float]
Make = Callable[[], Made]


def predict_images(
    study: Synthesize, run: Run, inputs: list[Path], out: Path | None
) -> pd.DataFrame:
    """Make images of those in `inputs`; see `Synthesize.predict`."""
    import pandas as pd

    if not inputs:
        raise ConfigError("predict needs a file or a folder of images.")
    ensemble = study.load_model(run)
    datasets = [study.read_to_make(ensemble.facts, source) for source in inputs]
    files = [case.images[0] for dataset in datasets for case in dataset.extra["cases"]]
    findings = [finding for dataset in datasets for finding in dataset.findings]
    datasets = named_apart(datasets, files)
    parts = Parts(out, about(run, datasets))
    way = _finer_ones if study.kind == "super-resolution" else _on_their_grids
    near: list[tuple[float, float]] = []
    for dataset in datasets:
        for name, one in zip(dataset.table["name"], way(study, ensemble, dataset), strict=True):
            near.append(parts.of(len(near), partial(_written, one, str(name), out)))
    named = [dataset.table[["name", "path", "subject"]] for dataset in datasets]
    table = pd.concat(named, ignore_index=True)
    table = table.join(pd.DataFrame(near, columns=["psnr", "ssim"], dtype=float))
    table.attrs["findings"] = keep_findings(findings, out)
    if out is not None:
        write_table(out, table, run)
    parts.close()
    return table


def _written(make: Make, name: str, out: Path | None) -> tuple[float, float]:
    """Make an image, write it, and return PSNR and SSIM."""
    from neuroloom.io.images import write_image

    content, psnr, ssim = make()
    suffix = ".tif" if content.attrs["kind"] == "image" else ".nii.gz"
    if out is not None:
        write_image(out / f"{name.replace('/', '_')}_made{suffix}", content)
    return psnr, ssim


def _on_their_grids(study: Synthesize, ensemble: Ensemble, dataset: Dataset) -> Iterator[Make]:
    """Yield for each image what brings what was made of it onto the grid of its file."""
    made = study.outcome(ensemble, dataset)
    rows = rows_of_images(dataset, np.arange(len(dataset)), made)
    near = zip(rows["psnr"], rows["ssim"], strict=True)
    for one, case, (psnr, ssim) in zip(made, dataset.extra["cases"], near, strict=True):
        yield partial(_on_its_grid, one, case, dataset.facts, float(psnr), float(ssim))


def _on_its_grid(
    made: np.ndarray, case: Case, facts: dict[str, Any], psnr: float, ssim: float
) -> Made:
    """Return what was made of an image on the grid of its file, in its unit if it has one."""
    from neuroloom.io.images.door import on_grid

    back = put_back(made, Frame.of(facts), case.shape, case.spacing)
    if facts["made"] == facts["channels"]:
        mean, spread = scale_of(case.image(), together=are_colours(case))
        back = back * spread + mean
    content = case.in_file_order(back.astype(np.float32))
    return on_grid(content, case.recording()), psnr, ssim


def _finer_ones(study: Synthesize, ensemble: Ensemble, dataset: Dataset) -> Iterator[Make]:
    """Yield for each image what makes it anew on a grid twice as fine."""
    for case in dataset.extra["cases"]:
        yield partial(_finer, study, ensemble, case, dataset.facts)


def _finer(study: Synthesize, ensemble: Ensemble, case: Case, facts: dict[str, Any]) -> Made:
    """Return an image on a grid twice as fine as its own, in its unit.

    There is no finer image to compare it with: its means over blocks are compared with the image.
    """
    image = image_of(case, facts)
    together = are_colours(case)
    given = standardised(image, together=together)
    made = in_slabs(lambda x: study.made_of(ensemble, x), given)
    psnr, ssim = nearness(given, coarser(made[None])[0])
    mean, spread = scale_of(image, together=together)
    return finer_recording(case, made * spread + mean), psnr, ssim


def in_slabs(make: Any, image: np.ndarray, most: int = AT_ONCE) -> np.ndarray:
    """Return (channel, *2 axes) of (channel, *axes), slab by slab where the image is large.

    Parameters
    ----------
    make
        From (n, channel, *axes) to (n, channel, *2 axes).
    most
        Places of a slab, without its margins.

    Examples
    --------
    >>> in_slabs(lambda x: x.repeat(2, 2).repeat(2, 3), np.ones((1, 30, 4)), most=8).shape
    (1, 60, 8)
    """
    size, parts = image.shape[1], []
    step = max(MARGIN, most // int(np.prod(image.shape[2:])))
    for start in range(0, size, step):
        low, high = max(0, start - MARGIN), min(size, start + step + MARGIN)
        first, count = FACTOR * (start - low), FACTOR * min(step, size - start)
        parts.append(make(image[None, :, low:high])[0][:, first : first + count])
    return np.concatenate(parts, axis=1)


def finer_recording(case: Case, made: np.ndarray) -> xr.DataArray:
    """Return (channel, *2 axes) as a recording that covers exactly what the case covers."""
    from neuroloom.core.recording import image, volume

    content = case.in_file_order(made.astype(np.float32))
    like = case.recording()
    if like.attrs["kind"] == "image":
        dy, dx = (float(size) / FACTOR for size in like.attrs["spacing"])
        return image(content, (dy, dx), like.attrs["unit"])
    # The first place of the finer grid lies a quarter of a place before the first of the coarse.
    step = np.diag([1 / FACTOR] * 3 + [1.0])
    step[:3, 3] = (1 / FACTOR - 1) / 2
    affine = np.asarray(like.attrs["affine"]) @ step
    return volume(content.transpose(0, 3, 2, 1), affine, unit=like.attrs["unit"])


def write_table(out: Path, table: pd.DataFrame, run: Run) -> None:
    """Write the table of what was made, and that it is done."""
    out.mkdir(parents=True, exist_ok=True)
    write_atomic(out / "predictions.parquet", lambda path: table.to_parquet(path, index=False))
    write_atomic(out / "predictions.csv", lambda path: table.to_csv(path, index=False))
    facts = {"run": run.folder.name, "examples": len(table)}
    write_json(out / "status.json", {"state": "done", "recipe": "predict", **facts})
