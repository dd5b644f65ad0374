"""The audit of a data set of images: goes over every case and collects every problem.

Bad data are found here, before hours of training, and all at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from neuroloom.core.audit import Finding
from neuroloom.core.errors import DataError
from neuroloom.io.cases.compare import compare
from neuroloom.io.cases.look import Problem, Seen, Use, look
from neuroloom.io.cases.model import Case

_SHOWN = 10
_TOLD = 8


def check_cases(
    cases: Iterable[Case],
    classes: Mapping[int, str] | Sequence[str] | None = None,
    ignore: int | None = None,
    use: Use = "model",
) -> list[Problem]:
    """Read all cases and return all problems; an empty list where there is none.

    Parameters
    ----------
    cases
        For example `find_cases(data).cases`.
    classes
        Number to name, or the names of 1..K, that the labels may hold; None: anything.
    ignore
        A number that labels may hold besides.
    use
        What the cases serve. "model": one model learns from all of them, so they are of one kind,
        with the same channels and names of masks, none there twice. "image": each is worked on by
        itself. "region": of each only what its label marks is measured, so something must be
        marked, and NaN elsewhere is no error.

    Examples
    --------
    >>> from pathlib import Path
    >>> from neuroloom.io.cases import Case
    >>> check_cases([Case("a", (Path("nowhere.nii.gz"),))])[0].text
    'nowhere.nii.gz: there is no such file or folder.'
    """
    allowed = None if classes is None else {0, *_numbers(classes)}
    if allowed is not None and ignore is not None:
        allowed.add(ignore)
    seen = [look(Seen(case, ignore), allowed, use) for case in cases]
    found = [problem for one in seen for problem in one.problems]
    found += compare([one for one in seen if one.header is not None], use)
    order = {"error": 0, "warning": 1, "note": 2}
    return sorted(found, key=lambda problem: order[problem.severity])


def require_sound(
    problems: Sequence[Problem],
    advice: str = "mend or leave out (`include`) these files",
    *,
    whole: bool = False,
) -> list[Problem]:
    """Return warnings and notes if there is no error.

    Parameters
    ----------
    problems
        As `check_cases` found them.
    advice
        What can be done.
    whole
        Whether the message lists all, as no `check` does of data that a finished run is applied to.

    Raises
    ------
    DataError
        One, whose `problems` are all errors; the message has the first ten and how many there are.

    Examples
    --------
    >>> require_sound([Problem("note", "a", "a.nii", "a.nii: the label is empty.")])[0].case
    'a'
    """
    errors = [problem for problem in problems if problem.severity == "error"]
    if not errors:
        return list(problems)
    cases = len({problem.case for problem in errors})
    ones = "1 problem" if len(errors) == 1 else f"{len(errors)} problems"
    lines = [f"{ones} in {cases} case{'s' * (cases != 1)}; {advice}:"]
    lines += [f"- {problem.text}" for problem in (errors if whole else errors[:_SHOWN])]
    if not whole and (more := len(errors) - _SHOWN) > 0:
        lines.append(f"- and {more} more: `neuroloom check RECIPE DATA --json` lists all.")
    raise DataError("\n".join(lines), [problem.text for problem in errors])


def findings_of_problems(problems: Sequence[Problem]) -> list[Finding]:
    """Return what the report says of warnings and notes: one finding for all of a kind.

    Examples
    --------
    >>> findings_of_problems([Problem("note", "a", "a.nii", "a.nii: the label is empty.")])[0].title
    'Worth knowing'
    """
    kinds: dict[Literal["warning", "note"], str] = {
        "warning": "Doubtful images or labels",
        "note": "Worth knowing",
    }
    found = []
    for severity, title in kinds.items():
        texts = list(dict.fromkeys(p.text for p in problems if p.severity == severity))
        if texts:
            more = f" And {len(texts) - _TOLD} more like these." if len(texts) > _TOLD else ""
            found.append(Finding(severity, title, " ".join(texts[:_TOLD]) + more))
    return found


def _numbers(classes: Mapping[int, str] | Sequence[str]) -> list[int]:
    return list(classes) if isinstance(classes, Mapping) else list(range(1, len(classes) + 1))
