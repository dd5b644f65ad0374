"""What the report of made images shows and says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.artifact import Shelf
from neuroloom.core.report import Facts, write_facts
from neuroloom.learn import figures
from neuroloom.learn.narrate import add_split_figure, study_facts
from neuroloom.learn.scoring.written import add_scores
from neuroloom.volumes.story.planes import planes
from neuroloom.volumes.synthesis.data import inside
from neuroloom.volumes.synthesis.fidelity import paired, real_image
from neuroloom.volumes.synthesis.novelty import lonely, novelty

if TYPE_CHECKING:
    from neuroloom.core.run import Run
    from neuroloom.core.split import Fold
    from neuroloom.learn.study import Prepared
    from neuroloom.learn.training.crossfit import Fitted
    from neuroloom.volumes.synthesize import Synthesize

QUESTIONS = {
    "autoencoder": "How well can an image be made again from a code of an eighth of its size?",
    "super-resolution": "How well can a grid twice as fine be told from the means over its blocks?",
    "contrast": "How well can one contrast be made of the others?",
    "gan": "Are new images like real ones, and more than copies of those that were learnt from?",
}
MEANINGS = {
    "psnr": "Peak signal-to-noise ratio, dB: the squared range of the real image over the mean "
    "squared error, in each image without its padding; 6 dB more is half the error.",
    "frechet": "Fréchet distance of the new to the unseen real images, in coarse features; the "
    "baseline is that of the real images of the training.",
    "copied": "Share of new images nearer to a training image than all but 5 % of the training "
    "images are to each other; chance is what new real images would give.",
    "ssim": "Structural similarity (Wang et al. 2004): 1 is the same image.",
}

JUDGED = {
    "gan": "Each real image that was held out was compared with the nearest of as many new ones.",
    "others": "What was made of images that were held out was compared with the real ones.",
}


def illustrate(study: Synthesize, run: Run, prepared: Prepared, fits: list[Fitted]) -> None:
    """Draw the split, real and made images, and learning curves; write `facts.json`."""
    shelf = Shelf(run.folder / "artifacts")
    add_split_figure(run, prepared)
    _add_images(shelf, run, prepared, fits)
    judged_new = study.kind == "gan" and any(fit.job.fold >= 0 for fit in fits)
    if judged_new:
        add_scores(run.folder, novelty(prepared.dataset, prepared.folds, fits))
    histories = [fit.history for fit in fits if fit.history]
    if histories:
        shelf.add_figure(
            "learning", figures.learning_curves(histories), title="Learning curves",
            caption="Loss of the training images, one line a fit.", section="training",
        )  # fmt: skip
    facts = study_facts(study, run, prepared, fits) | _facts(study, prepared)
    facts["notes"] += _left_out(prepared.folds) if judged_new else []
    write_facts(run.folder, Facts(**facts))


def _left_out(folds: list[Fold]) -> list[str]:
    """Say which folds `frechet` leaves out, if it does."""
    alone, judged = lonely(folds), [fold for fold in folds if len(fold.test)]
    if not alone:
        return []
    if len(alone) == len(judged):
        return [
            "frechet is undefined: the spread of a set takes two images or more, and every fold "
            "has one alone to learn from or to be judged on. Take fewer `folds`, or more in `test`."
        ]
    return [
        f"frechet leaves out {len(alone)} of {len(judged)} folds, which have one image alone to "
        "learn from or to be judged on: it has no spread."
    ]


def _add_images(shelf: Shelf, run: Run, prepared: Prepared, fits: list[Fitted]) -> None:
    """Draw the best, the median and the worst of the held-out images: real, made, difference."""
    table = run.predictions
    mine = table[table["role"] == "model"].reset_index(drop=True)
    if mine.empty:
        return
    mine = mine[mine["seed"] == mine["seed"].min()].sort_values("psnr", ascending=False)
    own = {fit.job.fold: fit for fit in reversed(fits) if fit.job.fold >= 0}
    images, titles = [], []
    for place in sorted({0, len(mine) // 2, len(mine) - 1}):
        row = mine.iloc[place]
        fold = prepared.folds[int(row["fold"])]
        fit = own[int(row["fold"])]
        made = paired(prepared.dataset, fold.test, np.asarray(fit.scores))[
            int(np.flatnonzero(fold.test == row["example"])[0])
        ]
        extent = str(prepared.dataset.table["extent"].iloc[int(row["example"])])
        real = inside(real_image(prepared.dataset, int(row["example"])), extent)[0]
        shown = inside(made, extent)[0]
        images += [real, shown, shown - real]
        titles += [f"real\n{row['psnr']:.1f} dB", "made", "difference"]
    shelf.add_figure(
        "made", planes(images, titles, spacing=prepared.dataset.facts["spacing"]),
        title="Real and made images: the best, the median, the worst",
        caption="Held out in training; each picture has grey levels of its own.", section="result",
    )  # fmt: skip


def _training(study: Synthesize) -> str:
    """Say how the model learnt."""
    model = study.find(study.model)
    if not model.is_net:
        return f"{study.model}: {model.summary}; it was solved directly."
    if study.kind == "gan":
        return (
            f"{study.model} is a generator that makes images of noise"
            f"{' and a class' if study.target else ''}, and a critic that tells them from real "
            "ones; they learnt from each other, by the Wasserstein distance with a gradient "
            "penalty. Each new image is of one generator alone."
        )
    return (
        f"{study.model} was trained by the mean squared error and a tenth of the absolute error "
        "to what was to be made."
    )


def _facts(study: Synthesize, prepared: Prepared) -> dict[str, Any]:
    facts = prepared.dataset.facts
    rows = {
        "Images": f"{len(prepared.dataset)} of "
        f"{prepared.dataset.table['subject'].nunique()} subjects",
        "Given": f"{', '.join(facts['channels'])} on {' x '.join(map(str, facts['given_shape']))}",
        "Made": f"{', '.join(facts['made'])} on {' x '.join(map(str, facts['shape']))}",
    }
    names = [study.model, *([study.baseline("synthesis")] if study.baseline("synthesis") else [])]
    return {
        "title": f"{study.kind.capitalize()} of {facts['kind']}s",
        "question": QUESTIONS[study.kind],
        "primary": "psnr",
        "example": facts["kind"],
        "data": [{"label": label, "value": value} for label, value in rows.items()],
        "method": [
            "Images were standardised one by one and put on one grid.",
            _training(study),
            JUDGED["gan" if study.kind == "gan" else "others"],
        ],
        "citations": ["Wang et al. (2004), IEEE Trans. Image Process. 13, 600-612"]
        + [study.find(str(name)).source for name in names],
        "meanings": MEANINGS,
    }
