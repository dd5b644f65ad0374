"""What the report says of a model: where, when and in which band it looked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.artifact import Shelf
from neuroloom.core.files import read_json
from neuroloom.core.report import Facts, write_facts
from neuroloom.learn.model import find_model

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.core.dataset import Dataset
    from neuroloom.core.run import Run
    from neuroloom.learn.study import Prepared
    from neuroloom.learn.training.crossfit import Fitted
    from neuroloom.signals.decode import Decode
    from neuroloom.signals.explanation.kernels import Kernels
    from neuroloom.signals.explanation.relevance import EvokedRelevance, Relevance

EXPLAINED_TRIALS = 200
ATTRIBUTED_TRIALS = 24
SHOWN_FILTERS = 4
# Answers to trials and to the same trials upside down that are more alike than the first mean a
# model that reads power, less alike than the second one that reads polarity; between, both.
READS_POWER, READS_POLARITY = 0.7, 0.3
PEAK_WORDS = ", named by the peak of their temporal kernel"


def explain_fits(run: Run, prepared: Prepared, fits: list[Fitted]) -> list[str]:
    """Explain the models of the folds on trials that they had not seen; say what is found."""
    on_folds = [fit for fit in fits if fit.job.fold >= 0 and fit.job.seed == fits[0].job.seed]
    if not on_folds:
        return []
    rows = np.concatenate([prepared.folds[fit.job.fold].test for fit in on_folds])
    owner = np.concatenate(
        [np.full(len(prepared.folds[fit.job.fold].test), k) for k, fit in enumerate(on_folds)]
    )
    kept = np.linspace(0, len(rows) - 1, min(len(rows), EXPLAINED_TRIALS)).astype(int)
    rows, owner = rows[kept].astype(int), owner[kept]

    def score(x: np.ndarray) -> np.ndarray:
        """Score each trial by the model that did not learn from it."""
        parts = [fit.learner.predict_scores(x[owner == k]) for k, fit in enumerate(on_folds)]
        out = np.zeros((len(x), *parts[0].shape[1:]))
        for k, part in enumerate(parts):
            out[owner == k] = part
        return out

    subject = _Subject(
        run,
        prepared.dataset,
        on_folds[0].learner,
        _spread(prepared.folds[on_folds[0].job.fold].test, ATTRIBUTED_TRIALS),
        "trials that the models had not seen",
    )
    return _explain(subject, score, rows)[1]


def explain_again(decode: Decode, run: Run) -> pd.DataFrame:
    """Explain the final model on the run's own data; return how much each sensor counts."""
    from neuroloom.core.report import write_report

    ensemble = decode.load_model(run)
    dataset = decode.read_again(run).labelled()
    rows = _spread(np.arange(len(dataset)), EXPLAINED_TRIALS)
    first = next(iter(ensemble.members.values()))[0]
    on = "the final model, on the trials of the run"
    subject = _Subject(run, dataset, first, _spread(rows, ATTRIBUTED_TRIALS), on)
    channels, where = _explain(subject, ensemble.scores, rows)
    facts = read_json(run.folder / "facts.json")
    write_facts(run.folder, Facts(**(facts | {"where": where})))
    write_report(run.folder)
    return channels


@dataclass(frozen=True)
class _Subject:
    """What is explained: a run, one of its learners, and rows to try that on."""

    run: Run
    dataset: Dataset
    learner: Any
    rows: np.ndarray
    on: str

    @property
    def shelf(self) -> Shelf:
        return Shelf(self.run.folder / "artifacts")

    @property
    def channels(self) -> list[str]:
        return list(self.dataset.facts["channels"])

    @property
    def positions(self) -> np.ndarray:
        return np.asarray(self.dataset.facts["positions"], float)

    @property
    def classes(self) -> list[str]:
        return list(self.dataset.classes)

    @property
    def likes(self) -> dict[str, Any]:
        return find_model(self.run.recipe.model).likes  # type: ignore[attr-defined]


def _spread(rows: np.ndarray, most: int) -> np.ndarray:
    kept = np.linspace(0, len(rows) - 1, min(len(rows), most)).astype(int)
    return np.asarray(rows)[kept].astype(int)


def _explain(subject: _Subject, score: Any, rows: np.ndarray) -> tuple[pd.DataFrame, list[str]]:
    """Show where the model looked; return the table of sensors and sentences."""
    from neuroloom.signals.explanation.relevance import polarity

    turned = polarity(score, np.asarray(subject.dataset.x[rows]))
    stories = choose_stories(subject.likes, turned)
    said, tables = [], []
    for story in stories:
        table, words = (_tell_power if story == "power" else _tell_evoked)(subject, score, rows)
        tables.append(table)
        said += words
    said += _say_polarity(turned)
    return tables[0], said + _attribute(subject) + _show_kernels(subject, stories[0])


def choose_stories(likes: dict[str, Any], turned: float) -> list[str]:
    """Return what a model is asked about, first what it mostly reads: "power", "evoked" or both.

    Parameters
    ----------
    likes
        Of the model; one made for evoked responses says so (`evoked`, or `signal="evoked"`).
    turned
        What `relevance.polarity` measured: NaN for a model that answers everything alike.

    Examples
    --------
    >>> choose_stories({}, 0.98), choose_stories({}, 0.5), choose_stories({"evoked": True}, -0.4)
    (['power'], ['power', 'evoked'], ['evoked'])
    """
    made_for = bool(likes.get("evoked")) or likes.get("signal") == "evoked"
    if turned >= READS_POWER:
        return ["evoked", "power"] if made_for else ["power"]
    if turned <= READS_POLARITY or made_for:
        return ["evoked"]
    return ["power", "evoked"]


def _say_polarity(turned: float) -> list[str]:
    if turned != turned:
        return ["The model answers every trial alike: there is nothing to explain."]
    alike = f"rank correlation of the answers {turned:.2f}".replace("-", "\N{MINUS SIGN}")
    if turned >= READS_POWER:
        what = "gets the same answers: the model reads power, not the shape of evoked responses"
    elif turned <= READS_POLARITY:
        what = "gets other answers: the model reads the shape of evoked responses, not power alone"
    else:
        what = "gets partly other answers: the model reads power and the shape of responses"
    return [f"The same data turned upside down {what} ({alike})."]


def _tell_power(subject: _Subject, score: Any, rows: np.ndarray) -> tuple[pd.DataFrame, list[str]]:
    from neuroloom.signals.explanation.relevance import explain

    dataset, facts = subject.dataset, subject.dataset.facts
    band = facts["cut"]["band"]
    found = explain(
        score,
        dataset.x[rows],
        dataset.y[rows],
        facts["rate"],
        subject.channels,
        classes=subject.classes,
        band=band and tuple(band),
    )
    return found.channels, _show_power(subject, found)


def _show_power(subject: _Subject, found: Relevance) -> list[str]:
    """Put maps and tables on the shelf and say what they show."""
    from neuroloom.signals.figures.relevance import add_relevance

    by_name = found.channels.set_index("channel")["relevance"]
    scores = by_name.reindex(subject.channels).to_numpy(float)
    add_relevance(
        subject.shelf, scores, subject.channels, subject.positions, found.bands,
        caption=f"Measured on {subject.on}. Sensors: how closely the power of a sensor follows the "
        "model's belief (Haufe et al. 2014). Bands: how much worse the truth is told when a band "
        "is swapped between trials; area: all trials, lines: each class.",
    )  # fmt: skip
    words = {"section": "where"}
    shelf = subject.shelf
    shelf.add_table("relevance-by-channel", found.channels, title="Relevance by sensor", **words)
    shelf.add_table("relevance-by-band", found.bands, title="Relevance by band", **words)
    best = found.bands.loc[found.bands["relevance"].idxmax()]
    return [
        _say_sensors(found.channels, "power"),
        f"The band that counts most: {best.low:g} to {best.high:g} Hz.",
    ]


def _say_sensors(channels: pd.DataFrame, what: str) -> str:
    top = channels["channel"].head(10).tolist()
    if len(channels) <= len(top):
        return f"The sensors by how much their {what} counts: {', '.join(top)}."
    return f"The ten sensors whose {what} counts most: {', '.join(top)}."


def _tell_evoked(subject: _Subject, score: Any, rows: np.ndarray) -> tuple[pd.DataFrame, list[str]]:
    from neuroloom.signals.explanation.relevance import explain_evoked

    dataset, facts = subject.dataset, subject.dataset.facts
    found = explain_evoked(
        score,
        np.asarray(dataset.x[rows]),
        dataset.y[rows],
        facts["rate"],
        subject.channels,
        start=facts["cut"]["start"] or 0.0,
        classes=subject.classes,
    )
    return found.channels, _show_evoked(subject, found)


def _show_evoked(subject: _Subject, found: EvokedRelevance) -> list[str]:
    from neuroloom.signals.figures import relevance as figures

    shelf, words = subject.shelf, {"section": "where"}
    names = subject.classes or [subject.dataset.facts["cut"]["target"]]
    name, last = names[-1], found.maps[..., -1]
    shelf.add_figure(
        "relevance-times",
        figures.evoked_relevance(found.times, last, subject.channels, name),
        title="When the model looks, and at which sensors",
        caption=f"Measured on {subject.on}. Above: how much worse the truth is told when a window "
        "of about 50 ms is swapped between trials; area: all trials, lines: each class. Below: how "
        f"closely the amplitude of a sensor follows the model's belief in {name} (rank "
        "correlation; Haufe et al. 2014).",
        section="where",
    )
    figure = figures.moments(found.times, found.maps, subject.positions, names)
    shelf.add_figure(
        "relevance-moments",
        figure,
        title="Where, in the three windows that count most",
        caption="How amplitude goes with the model's belief, at the middle of each window. "
        "Seen from above, nose up.",
        section="where",
    )
    title = "Relevance of the amplitude, by sensor"
    shelf.add_table("relevance-by-amplitude", found.channels, title=title, **words)
    shelf.add_table("relevance-by-time", found.times, title="Relevance by time", **words)
    best = found.times.loc[found.times["relevance"].idxmax()]
    return [
        _say_sensors(found.channels, "amplitude"),
        f"The time that counts most: {1000 * best.start:.0f} to {1000 * best.stop:.0f} ms.",
    ]


def _attribute(subject: _Subject) -> list[str]:
    """Share a net's scores out among the sensors, and check against random weights."""
    if not hasattr(subject.learner, "as_module"):
        return []
    from neuroloom.signals.explanation.attribution import NAMES, attribute_sensors
    from neuroloom.signals.figures.relevance import attributions

    dataset = subject.dataset
    found = attribute_sensors(
        subject.learner.as_module(),
        np.array(dataset.x[subject.rows]),
        dataset.y[subject.rows],
        subject.channels,
        len(subject.classes),
    )
    methods = {name: found.maps[key] for key, name in NAMES.items()}
    classes = subject.classes or [dataset.facts["cut"]["target"]]
    subject.shelf.add_figure(
        "attributions",
        attributions(methods, subject.positions, classes),
        title="What each sensor adds to the score of each class",
        caption=f"Mean share of the sensors in the score of the true class, {len(subject.rows)} "
        "trials of one fold (captum): absolute gradients; integrated gradients (Sundararajan et "
        "al. 2017); loss when the sensor is silenced. These show what the net needs, sensors that "
        f"only cancel noise included. {found.verdict}",
        section="where",
    )
    subject.shelf.add_table(
        "attribution_channels",
        _with_methods(found.channels, methods, classes, subject.channels),
        title="Attribution by sensor",
        caption="Share of each sensor in the score; gradients are in units of the sensor's own "
        f"variation. {found.verdict}",
        section="where",
    )
    return [found.verdict]


def _with_methods(
    table: pd.DataFrame, methods: dict[str, np.ndarray], classes: list[str], channels: list[str]
) -> pd.DataFrame:
    """Add a column for each method and class."""
    places = [channels.index(name) for name in table["channel"]]
    more = {
        f"{name}, {label}": shares[k, places]
        for name, shares in methods.items()
        for k, label in enumerate(classes)
    }
    return table.assign(**more)


def _show_kernels(subject: _Subject, story: str) -> list[str]:
    """Show the first filters of a net: what they pass, and what they weigh."""
    if not hasattr(subject.learner, "as_module"):
        return []
    from neuroloom.signals.explanation.kernels import frequency_response, learner_kernels
    from neuroloom.signals.figures.relevance import kernel_spectra

    kernels = learner_kernels(subject.learner)
    if kernels is None:
        return ["The net has no convolution over time: it has no kernels to show."]
    facts = subject.dataset.facts
    hertz, gain = frequency_response(kernels.temporal, facts["rate"])
    low, high = facts["cut"]["band"] or (None, None)
    inside = (hertz >= (low or 0.0)) & (hertz <= (high or facts["rate"]))
    hertz, gain = hertz[inside], gain[:, inside] / gain[:, inside].max(1, keepdims=True)
    subject.shelf.add_figure(
        "kernel-spectra",
        kernel_spectra(hertz, gain),
        title="Which frequencies the first kernels pass",
        caption=f"Frequency response of the {len(gain)} temporal kernels of the net of one fold, "
        "inside the band that it was shown, sorted by their peak; above, their mean.",
        section="where",
    )
    peaks = hertz[gain.argmax(axis=1)]
    if len(kernels.spatial):
        _show_spatial(subject, kernels, peaks, story)
    low, high = np.percentile(peaks, [25, 75])
    return [f"Half of the {len(gain)} first kernels peak between {low:.1f} and {high:.1f} Hz."]


def _show_spatial(subject: _Subject, kernels: Kernels, peaks: np.ndarray, story: str) -> None:
    from neuroloom.learn.explain import pattern
    from neuroloom.signals.explanation.kernels import activation_patterns, filter_power
    from neuroloom.signals.explanation.relevance import make_windows
    from neuroloom.signals.figures.relevance import kernel_maps

    x = np.asarray(subject.dataset.x[subject.rows], float)
    scores = subject.learner.predict_scores(subject.dataset.x[subject.rows])
    features = np.log(filter_power(kernels, x) + 1e-30)[..., None]
    if story == "evoked":
        windows = make_windows(x.shape[2], subject.dataset.facts["rate"])
        features = np.einsum("mc,nct,wt->nmw", kernels.spatial, x, windows, optimize=True)
    weight = np.sqrt(np.mean(pattern(features, scores) ** 2, axis=(1, 2)))
    best = np.argsort(-weight, kind="stable")[:SHOWN_FILTERS]
    names = [
        f"{peaks[kernels.follows[k]]:.1f} Hz" if kernels.follows[k] >= 0 else f"filter {k + 1}"
        for k in best
    ]
    patterns = activation_patterns(kernels, x)
    subject.shelf.add_figure(
        "kernel-maps",
        kernel_maps(kernels.spatial[best], patterns[best], subject.positions, names),
        title="Which sensors the first filters weigh",
        caption=f"The {len(best)} of {len(kernels.spatial)} spatial filters whose signal follows "
        f"the net's belief most closely{PEAK_WORDS if kernels.follows.max() >= 0 else ''}. Above "
        "the weights, below the activation pattern: where the filter's signal comes from (Haufe "
        "et al. 2014, equation 6). The sign of a filter is arbitrary.",
        section="where",
    )
