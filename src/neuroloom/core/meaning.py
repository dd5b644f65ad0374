"""What metrics mean: how each is named, explained, drawn and written down."""

from __future__ import annotations

from dataclasses import dataclass, replace

THIN = "\N{NARROW NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Meaning:
    """How a metric is named, explained and drawn.

    `percent` metrics are shares; `rising` is False where lower is better; `low` and `high` are
    the ends of its scale, None where the values decide.
    """

    label: str
    text: str
    percent: bool = False
    rising: bool = True
    low: float | None = 0.0
    high: float | None = 1.0


MEANINGS: dict[str, Meaning] = {
    "accuracy": Meaning("Accuracy", "Share of all cases labelled right.", percent=True),
    "balanced_accuracy": Meaning(
        "Balanced accuracy",
        "Share labelled right within each class, then the mean: a rare class counts as much as "
        "a frequent one.",
        percent=True,
    ),
    "auc": Meaning(
        "AUC",
        "How often a case of a class gets a higher score for it than a case of another class: "
        "0.5 is guessing, 1 is a perfect ranking.",
    ),
    **{
        f"{name}_voted": Meaning(
            f"{label} of whole events",
            "The same where the pieces of one event decide together, by their mean probability.",
            percent=percent,
        )
        for name, label, percent in (
            ("accuracy", "Accuracy", True),
            ("balanced_accuracy", "Balanced accuracy", True),
            ("auc", "AUC", False),
        )
    },
    "average_precision": Meaning(
        "Average precision",
        "How pure the top of the ranking stays as more cases are let in: guessing gives the "
        "share of the class.",
    ),
    "kappa": Meaning(
        "Cohen's kappa",
        "Agreement with the truth beyond what the class sizes give by luck: 0 is guessing, "
        "1 is perfect.",
        low=None,
    ),
    "log_loss": Meaning(
        "Log loss",
        "Price of misplaced confidence, in nats: 0 is perfect, confident mistakes cost most.",
        rising=False,
        high=None,
    ),
    "ece": Meaning(
        "Calibration error",
        "Mean gap between the stated confidence and the share that was right: 0 is perfect.",
        rising=False,
        high=None,
    ),
    "r2": Meaning(
        "R\N{SUPERSCRIPT TWO}",
        "Share of the variance explained: 0 is as good as the mean, below 0 is worse.",
        low=None,
    ),
    "mae": Meaning(
        "Mean absolute error",
        "Mean distance from the truth, in the target's own unit.",
        rising=False,
        high=None,
    ),
    "pearson": Meaning(
        "Pearson's r", "Linear correlation of prediction and truth: 1 is perfect.", low=None
    ),
    "f1": Meaning(
        "F1 of events",
        "Harmonic mean of precision and recall, all recordings pooled. A found event counts if it "
        "overlaps a true one enough, and each true one counts once.",
    ),
    "precision": Meaning("Precision", "Share of the found events that are true ones."),
    "recall": Meaning("Recall", "Share of the true events that were found."),
    **{
        f"f1_at_{iou}": Meaning(
            f"F1 at overlap {iou}", f"The same with an intersection over union of {iou} or more."
        )
        for iou in (0.1, 0.3, 0.5)
    },
    "c_index": Meaning(
        "Concordance (C-index)",
        "Of two cases, how often the one with the higher predicted risk has its event first: 1 is "
        "perfect order, 0.5 is guessing.",
    ),
    "mean_error_px": Meaning(
        "Mean error (px)",
        "Mean distance from the true to the found place, in pixels.",
        rising=False,
        high=None,
    ),
    "median_error_px": Meaning(
        "Median error (px)", "Half of the places lie nearer than this.", rising=False, high=None
    ),
    "rmse_px": Meaning(
        "RMS error (px)",
        "Root of the mean squared distance: far errors count most.",
        rising=False,
        high=None,
    ),
    "pck@5": Meaning(
        "Within 5 px",
        "Share of places found within five pixels; what is missed counts.",
        percent=True,
    ),
    "oks_map": Meaning(
        "OKS precision",
        "Average precision over ten thresholds of similarity, from 0.50 to 0.95: "
        "1 if every one is found nearly exactly and nothing else.",
    ),
    "identity_accuracy": Meaning(
        "Called by their name",
        "Share of the animals found that were called by their own name, told by their looks.",
        percent=True,
    ),
    "class_accuracy": Meaning(
        "Class of the animals",
        "Share of the animals found that were given their own class, told by their looks.",
        percent=True,
    ),
    "expectation_slope": Meaning(
        "Real over expected error",
        "Slope of the error that was made over the error that was "
        "expected: 1 if expectations are true.",
        high=None,
    ),
    "dice": Meaning(
        "Dice",
        "Overlap of what was found with the truth, mean over the classes of a case, then over "
        "cases: 1 is perfect, 0 no overlap. Where truth and prediction are both empty it is 1, "
        "where only one is it is 0.",
    ),
    "nsd": Meaning(
        "Surface Dice (NSD)",
        "Share of both surfaces that lies within the tolerance of the other: 1 is perfect. Both "
        "empty: 1; only one: 0.",
    ),
    "hd95": Meaning(
        "HD95",
        "Distance within which 95 % of either surface lies of the other, in the unit of the grid "
        "(mm for volumes): 0 is perfect. Cases where only truth or prediction is empty have "
        "none and are left out.",
        rising=False,
        high=None,
    ),
    "asd": Meaning(
        "Mean surface distance",
        "Mean distance between the two surfaces, in the unit of the grid: 0 is perfect.",
        rising=False,
        high=None,
    ),
    "volume_error": Meaning(
        "Volume error",
        "Distance of the found from the true volume, as a share of the true one; cases without "
        "truth have none and are left out.",
        percent=True,
        rising=False,
        high=None,
    ),
    "error_auroc": Meaning(
        "Entropy flags errors (AUROC)",
        "Within three places of the predicted border, how often a wrong place has the higher "
        "entropy than a right one; mean over cases. 0.5 is chance.",
    ),
    "flag_auroc": Meaning(
        "Flag finds poor cases (AUROC)",
        "How often a case with at most 0.8 of the median Dice is odder than another case: more "
        "doubted, of an unusual volume, or without a class that nearly all have. 0.5 is chance.",
    ),
    "density_error": Meaning(
        "Density error",
        "Mean distance, over recordings, of the found from the true number of events per minute.",
        rising=False,
        high=None,
    ),
}


def meaning_of(key: str) -> Meaning:
    """Return how a metric is named and drawn; "auc/0db" is the AUC of a part called "0db".

    Examples
    --------
    >>> meaning_of("accuracy/svm").label, meaning_of("gap_rmse").label
    ('Accuracy (svm)', 'Gap rmse')
    """
    name, _, part = key.partition("/")
    plain = Meaning(name.replace("_", " ").capitalize(), "", low=None, high=None)
    meaning = MEANINGS.get(name, plain)
    return replace(meaning, label=f"{meaning.label} ({part})") if part else meaning


def number(value: float | None, meaning: Meaning | None = None) -> str:
    """Format a value of a metric; an empty string if there is none.

    Examples
    --------
    >>> number(0.9556, MEANINGS["auc"])
    '0.956'
    """
    if value is None:
        return ""
    if meaning is not None and meaning.percent:
        return f"{100 * value:.1f}{THIN}%"
    shown = f"{value:.3f}" if abs(value) < 100 else f"{value:.4g}"
    return shown.replace("-", MINUS)
