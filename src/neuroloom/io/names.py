"""What names of columns, classes and channels tell, when two are one, and which say nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise

_BARE = re.compile(r"(?:image|channel|class|label|segment)?\d*")
# Blanks, hyphens and underscores inside a name; between two digits they part numbers.
_JOINTS = re.compile(r"(?<=\D)[\s_-]+(?=\w)|(?<=\d)[\s_-]+(?=[^\W\d])")

# What pandas takes for nothing, but "None": that may be the name of a class.
MISSING = (
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
    "<NA>", "N/A", "NA", "NULL", "NaN", "n/a", "nan", "null",
)  # fmt: skip
_SUBJECTS = ("subject", "subjectid", "participant", "participantid", "patient", "patientid")
_WORDS = """
    surname forename nickname username nachname vorname birthday geburtsdatum geburtstag geburtsjahr
    geburtsort geburtsname dateofbirth dob mrn ssn address adress adresse anschrift street strasse
    postal postcode plz phone telephone telefon telefonnummer mail insurance passport
"""
# Words that say so only beside one another, in either order.
_TOGETHER = {
    "name": """
        patient pat participant subject person client proband first last middle full given family
        maiden birth legal father mother parent guardian spouse doctor physician nurse operator
        technician investigator rater reader annotator
    """,
    "birth": "date day month year time place city town country",
    "id": "patient",
    "code": "zip",
    "security": "social",
    "record": "medical",
    "e": "mail",
    "number": "phone",
}
_WHO = frozenset(_WORDS.split()).union(
    *({one + word, word + one} for word, ones in _TOGETHER.items() for one in ones.split())
)


def plain(name: str) -> str:
    """Return a name as it is compared: without case, blanks, hyphens and underscores.

    Examples
    --------
    >>> plain("Left Hippocampus") == plain("left_hippocampus") == plain("LeftHippocampus")
    True
    >>> plain(" T1+ ") == plain("T1"), plain("CA 1-2") == plain("CA 12")
    (False, False)
    """
    return _JOINTS.sub("", name.strip()).casefold()


def tells(name: str) -> bool:
    """Return whether a name says what a class or a channel is, and not only which one it is.

    Examples
    --------
    >>> [tells(name) for name in ("T1", "image", "channel 0", "Segment_1", "0001", "2")]
    [True, False, False, False, False, False]
    """
    return not _BARE.fullmatch(plain(name))


def subject_columns(columns: Iterable[str]) -> list[str]:
    """Return the columns that say whose a row is, the first of which is to be believed.

    Examples
    --------
    >>> subject_columns(["age", "Patient ID", "SubjectID", "subject", "patient_age"])
    ['subject', 'Patient ID', 'SubjectID']
    """
    found = [name for name in columns if plain(name) in _SUBJECTS]
    return sorted(found, key=lambda name: name != "subject")


def numbered(people: Iterable[str]) -> list[str]:
    """Return a number in place of each name of a person, in the order in which they come first.

    Examples
    --------
    >>> numbered(["P17", "P02", " P17", ""])
    ['1', '2', '1', '']
    """
    words = [name.strip() for name in people]
    number = {name: str(k) for k, name in enumerate(dict.fromkeys(filter(None, words)), start=1)}
    return [number.get(word, "") for word in words]


def says_who(column: str) -> bool:
    """Return whether a column says who somebody is, going by whole words; it reaches no output.

    Examples
    --------
    >>> [says_who(name) for name in ("Patient Name", "birth_date", "PatientID", "E-Mail", "name")]
    [True, True, True, True, True]
    >>> [says_who(name) for name in ("mRNA_level", "site_name", "preterm_birth", "phoneme")]
    [False, False, False, False]
    """
    parted = re.sub(r"(?<=[^\W\d_A-Z])(?=[A-Z])", " ", column).casefold()
    words = [word for word in re.split(r"[\W\d_]+", parted) if word not in ("", "of")]
    alone = words in (["name"], ["birth"])
    return alone or not _WHO.isdisjoint([*words, *map("".join, pairwise(words))])


def named_channels(count: int, names: Iterable[str]) -> list[str]:
    """Return the names of channels where each has one that tells it; else "image", or numbers.

    Examples
    --------
    >>> named_channels(2, ["nuclei", "actin"]), named_channels(2, ["0", "1"])
    (['nuclei', 'actin'], ['channel 0', 'channel 1'])
    >>> named_channels(1, ["grey"])
    ['image']
    """
    own = list(names)
    if count == 1:
        return ["image"]
    if len(own) == count and all(map(tells, own)):
        return own
    return [f"channel {number}" for number in range(count)]
