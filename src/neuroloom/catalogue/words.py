"""How people name things: which words of a query mean which words of the catalogue."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

SYNONYMS = (
    ("eeg", "electroencephalography", "electroencephalogram", "brainwaves"),
    ("meg", "magnetoencephalography", "magnetoencephalogram"),
    ("emg", "electromyography", "electromyogram"),
    ("ecog", "electrocorticography"),
    ("lfp", "local field potentials"),
    ("mri", "magnetic resonance imaging", "mr"),
    ("fmri", "functional mri", "bold", "rs-fmri"),
    ("pet", "positron emission tomography"),
    ("ct", "computed tomography"),
    ("em", "electron microscopy", "sem", "tem"),
    ("calcium", "2-photon", "two-photon"),
    ("bci", "brain-computer interface", "brain computer interface"),
    ("pose", "keypoints", "markerless tracking", "animal tracking"),
    ("xai", "explain", "explanation", "explainable", "interpretability", "attribution"),
    ("classify", "classification", "decode", "decoding", "classifier"),
    ("segment", "segmentation", "delineation", "parcellation"),
    ("register", "registration", "alignment"),
    ("gaze", "eye tracking", "oculography", "pupillometry", "pupil"),
    ("behaviour", "behavior", "behavioural", "behavioral"),
    ("federated", "federation", "multi-site"),
    ("spikes", "event detection", "spike inference"),
    ("realtime", "real-time", "online", "live", "closed-loop"),
    ("single cell", "gene sequences", "transcriptomics", "rna"),
    ("superresolution", "super-resolution"),
    ("gnn", "graph neural network", "graph"),
    ("rnn", "recurrent", "lstm"),
    ("cnn", "convolutional"),
    ("cae", "u-net", "unet", "autoencoder"),
    ("movies", "video", "videos"),
)  # fmt: skip
# Words that no column uses to tell tools apart, species among them.
FILLER = frozenset(
    """
    a an and any are can data dataset datasets deep do does file files find folder for
    from get have how i in is it learning library like me model models my need
    neuroscience of on or package recording recordings run software some that the them to
    tool toolbox tools train use using want we what which with work works would you your
    animal animals human humans mice mouse monkey monkeys patient patients people rat rats
    subject subjects
    """.split()  # noqa: SIM905
)
ENDINGS = ("isation", "ization", "ations", "ation", "ings", "ing", "ers", "ies", "ion", "es", "s")


def tokens(text: str) -> list[str]:
    """Split into lower-case words and their parts.

    Examples
    --------
    >>> tokens("2,3-D CNN, rs-fMRI")
    ['2', '3-d', '3', 'd', 'cnn', 'rs-fmri', 'rs', 'fmri']
    """
    found: list[str] = []
    for word in re.findall(r"[^\W_]+(?:-[^\W_]+)*", text.lower()):
        found.append(word)
        if "-" in word:
            found.extend(word.split("-"))
    return found


@cache
def stem(word: str) -> str:
    """Cut a common English ending, so that 'segmenting' finds 'Segmentation'.

    Examples
    --------
    >>> stem("segmenting") == stem("segmentation")
    True
    """
    for ending in ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)]
    return word


def matches(query: str, text: str) -> bool:
    """Tell whether every meaningful word of `query`, or a synonym of it, stands in `text`.

    The words of the query also match as beginnings of longer ones; their synonyms do not.

    Examples
    --------
    >>> matches("classify electroencephalography", "EEG, MEG; Classification")
    True
    >>> matches("EEG", "rs-fMRI")
    False
    """
    stems = {stem(word) for word in tokens(text)}
    return all(
        any(_stands_in(way, stems) for way in ways) or _begins(ways[0], stems)
        for ways in wanted(query)
    )


def wanted(query: str) -> list[tuple[str, ...]]:
    """Return, for each thing that a query asks for, the phrases that would say it."""
    rest, asked = f" {' '.join(_words(query))} ", []
    for ways in SYNONYMS:
        for way in sorted(ways, key=len, reverse=True):
            phrase = f" {' '.join(_words(way))} "
            if " " in way and phrase in rest:
                asked.append(ways)
                rest = rest.replace(phrase, " ")
    single = [word for word in rest.split() if word not in FILLER]
    return asked + [_ways(word) for word in single]


@cache
def _ways(word: str) -> tuple[str, ...]:
    """Return `word` with its synonyms."""
    groups = [ways for ways in SYNONYMS if stem(word) in {stem(way) for way in ways}]
    return (word, *(way for ways in groups for way in ways))


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:-[^\W_]+)*", text.lower())


def _stands_in(way: str, stems: Iterable[str]) -> bool:
    """Tell whether all words of the phrase `way` are among `stems`."""
    return all(stem(word) in stems for word in _words(way))


def _begins(word: str, stems: Iterable[str]) -> bool:
    """Tell whether a word of four letters or more begins one of `stems`."""
    return len(word) >= 4 and any(other.startswith(stem(word)) for other in stems)
