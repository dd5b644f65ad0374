"""What is learnt of held-out cases, where labels leave most of an image open."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from neuroloom.core.split import Fold
from neuroloom.learn.dense import held_out
from neuroloom.learn.dense.held_out import (
    bytes_of_held_out,
    decode,
    doubt_of_nets,
    gains,
    judged,
    keep_largest,
    paint,
    rows_of,
    seconds_to_judge,
    tabulate,
    usual,
)
from neuroloom.learn.dense.measures.doubt import doubt_of
from neuroloom.learn.dense.measures.flags import flag_of
from neuroloom.learn.dense.measures.overlap import counts_of, dice, without_ignored
from neuroloom.learn.store import write_ragged

OPEN = 9


def study(largest: str = "no") -> SimpleNamespace:
    return SimpleNamespace(
        largest=largest,
        tolerance=1.0,
        volumes_are_usual=True,
        roles=lambda task: {"model": "net"},
        judge_more=lambda *_: {},
        measured_in=lambda dataset, row: (dataset.x[row].spacing, "mm"),
        voxel_in=lambda dataset, row: float(np.prod(dataset.x[row].spacing)),
    )


def prepared(truths: list[np.ndarray], ignore: int | None) -> SimpleNamespace:
    """Return what is needed of prepared data: every case is a fold of its own."""
    cases = [
        SimpleNamespace(truth=lambda own=own: own, spacing=(2.0, 1.0), shape=own.shape)
        for own in truths
    ]
    facts = {
        "classes_of": {"0": "background", "1": "cell"},
        "regions": None,
        "parts": {"cell": [1]},
        "ignore": ignore,
    }
    rows = np.arange(len(truths))
    folds = [Fold(f"fold {k}", np.delete(rows, k), np.array([k]), [f"case {k}"]) for k in rows]
    names = [f"case {k}" for k in rows]
    who = dict.fromkeys(("name", "path", "subject", "session", "run"), names)
    dataset = SimpleNamespace(x=cases, facts=facts, task="segmentation", table=pd.DataFrame(who))
    return SimpleNamespace(dataset=dataset, folds=folds)


def fits(labels: list[np.ndarray]) -> list[SimpleNamespace]:
    """Return a fit a fold that is all but sure of these labels."""
    return [
        SimpleNamespace(
            job=SimpleNamespace(fold=k, role="model", seed=0),
            scores=[np.stack([0.9 - 0.8 * label, 0.1 + 0.8 * label])],
            noted={},
        )
        for k, label in enumerate(labels)
    ]


def scribbled() -> tuple[np.ndarray, np.ndarray]:
    """A whole cell that was found, (8, 12), and a scribble through it and beside it."""
    found = np.zeros((8, 12), int)
    found[1:7, 1:7] = 1
    truth = np.full((8, 12), OPEN)
    truth[3, 1:7], truth[7] = 1, 0
    return truth, found


def test_a_piece_where_nobody_looked_does_not_speak_for_keeping_the_largest():
    truth, found = scribbled()
    found[1:3, 10:] = 1
    gained = gains(study("auto"), prepared([truth], OPEN), fits([found]))
    assert gained[0].tolist() == [[0.0]]
    found[7, 11] = 1
    assert gains(study("auto"), prepared([truth], OPEN), fits([found]))[0].item() > 0


@pytest.mark.parametrize("ignore", [None, OPEN])
@pytest.mark.parametrize(
    "parts", [{"a": [1], "b": [2], "c": [3]}, {"whole": [1, 2], "core": [2]}, {"CA1": [4 * 10**8]}]
)
def test_what_the_largest_piece_gains_is_dice_after_less_dice_before(parts, ignore):
    """Within the box of each class, as in the whole image."""
    draw = np.random.default_rng(3)
    values = [0, 0, 0, *sorted({v for own in parts.values() for v in own})]
    label = draw.choice(values, (7, 8, 4))
    truth = draw.choice([*values, OPEN] if ignore else values, label.shape)
    gained = held_out._gain(truth, label, {"parts": parts, "ignore": ignore})
    for k, (name, value) in enumerate(parts.items()):
        before, after = (
            dice(*counts_of(*without_ignored(truth, found, ignore), {name: value}))[0]
            for found in (label, keep_largest(label, value))
        )
        assert gained[k] == pytest.approx(after - before)
        assert gained[k] != 0


def test_gains_are_worked_out_once_for_all_who_ask(monkeypatch):
    """Of twenty CTs with a hundred classes each time took half an hour after training."""
    _, found = scribbled()
    found[1, 10] = 1
    own, fitted = prepared([found, found], None), fits([found, found])
    asked = []
    gain = held_out._gain
    monkeypatch.setattr(held_out, "_gain", lambda *given: asked.append(1) or gain(*given))
    first = gains(study("auto"), own, fitted)
    usual(study("auto"), own, fitted)
    assert len(list(judged(study("auto"), own, fitted[:1]))) == 1
    assert len(asked) == 2
    assert all((first[k] == one).all() for k, one in gains(study("auto"), own, fitted).items())


def test_a_label_is_judged_and_shown_with_its_largest_piece_only():
    _, found = scribbled()
    specks = found.copy()
    specks[1, 10] = 1
    own = prepared([found, found], None)
    shown = [label for _, label in judged(study("auto"), own, fits([specks, specks]))]
    assert all((label == found).all() for label in shown)


def test_usual_volumes_beside_scribbles_are_those_that_were_found():
    truth, found = scribbled()
    larger = np.roll(found, 1, 1) | found
    stored = usual(study(), prepared([truth, truth], OPEN), fits([found, larger]))
    assert stored["volumes"] == {"cell": [72.0, 84.0]}
    assert flag_of(stored, stored["doubt"][0], {"cell": 80.0})["why"] == ""


def test_usual_volumes_beside_whole_labels_are_those_of_the_labels():
    _, found = scribbled()
    stored = usual(study(), prepared([found], None), fits([found * 0]))
    assert stored["volumes"] == {"cell": [72.0, 72.0]}


def test_scribbles_alone_say_of_no_volume_what_is_usual():
    truth, _ = scribbled()
    assert usual(study(), prepared([truth], OPEN), [])["volumes"] == {}


def test_judging_is_timed_by_what_is_done_of_a_held_out_case(monkeypatch):
    """Of a hundred classes it took hours that no budget knew."""
    _, found = scribbled()
    own = prepared([found], None)
    told = []
    monkeypatch.setattr(
        held_out, "rows_of", lambda study, data, row, p, names, sure, head: told.append((p, names))
    )
    assert seconds_to_judge(study("auto"), own.dataset, 0, 2) > 0
    p, names = told[-1]
    assert (decode(p, own.dataset.facts) == np.roll(found, 1, -1)).all()
    assert names == ["cell"]
    monkeypatch.undo()
    assert 0 < seconds_to_judge(study("no"), own.dataset, 0, 2) < held_out.IMPORTING_S


def test_what_flags_errors_is_counted_where_somebody_looked():
    truth, found = scribbled()
    data = prepared([truth], OPEN).dataset
    p = fits([found])[0].scores[0]
    p[:, 3, 6] = [0.55, 0.45]
    row = rows_of(study(), data, 0, p, [], 0.0, {})[0]
    assert row["fn"] == 1
    assert row["error_auroc"] == pytest.approx(1.0)


def flagged(truths: list[np.ndarray], found: list[np.ndarray], **more) -> pd.DataFrame:
    """Return the rows of held-out cases, one each."""
    own = study()
    own.__dict__.update(more)
    return tabulate(own, prepared(truths, None), fits(found)).set_index("example")


@pytest.mark.parametrize("volumes_are_usual", [True, False])
@pytest.mark.parametrize("empty", [0, 1])
def test_a_case_of_which_nothing_was_found_is_flagged(volumes_are_usual, empty):
    """Its doubt is the least, the mean over all voxels; a lone case without the class is odd."""
    _, cell = scribbled()
    truths = [cell] * (30 - empty) + [cell * 0] * empty
    rows = flagged(truths, [cell * 0, *truths[1:]], volumes_are_usual=volumes_are_usual)
    assert rows["poor"].tolist() == [True] + [False] * 29
    assert rows["flag"].tolist() == [True] + [False] * (29 - empty) + [True] * empty
    assert rows["why"].iloc[0].startswith("cell is found nowhere, though ")


def test_where_most_cases_are_missed_these_are_the_poor_ones():
    _, cell = scribbled()
    rows = flagged([cell] * 3, [cell * 0, cell * 0, cell])
    assert rows["poor"].tolist() == rows["flag"].tolist() == [True, True, False]


def test_the_flag_of_a_case_does_not_ask_its_own_label():
    _, cell = scribbled()
    said, columns = [cell * 0, cell, cell, np.ones_like(cell)], ["oddness", "flag", "why"]
    rows = flagged([cell] * 4, said)
    assert rows["flag"].tolist() == [True, False, False, True]
    for number, name in enumerate(rows.index):
        truths = [cell] * 4
        truths[number] = np.ones_like(cell)
        assert flagged(truths, said).loc[name, columns].equals(rows.loc[name, columns])


def test_beside_scribbles_flags_go_by_what_was_found_in_whole_images():
    truth, found = scribbled()
    large = np.ones_like(found)
    own = prepared([truth] * 4, OPEN)
    rows = tabulate(study(), own, fits([found, found, found, large]))
    assert rows["flag"].tolist() == [False, False, False, True]
    assert rows["volume_found"].tolist() == [72.0, 72.0, 72.0, 192.0]


def test_nets_that_are_sure_but_differ_are_no_more_in_doubt_than_one():
    """The mean of two is unsure where they differ, as no single held-out net ever is."""
    _, cell = scribbled()
    facts = prepared([cell], None).dataset.facts
    one, other = (fit.scores[0] for fit in fits([cell, np.roll(cell, 3, 1)]))
    alone = doubt_of_nets([one], [], facts)
    assert doubt_of_nets([one, other], [], facts) == pytest.approx(alone, rel=0.05)
    mean = (one + other) / 2
    assert doubt_of(mean, decode(mean, facts)) > 1.2 * alone


@pytest.mark.parametrize("value", [65535, 484682470])
def test_classes_have_any_number(value: int) -> None:
    """White of 16 bits, and a structure of the Allen atlas."""
    p = np.array([[0.9, 0.2], [0.1, 0.8]])
    facts = {"classes_of": {"0": "background", str(value): "CA1"}, "regions": None}
    assert decode(p, facts).tolist() == [0, value]
    assert paint(p[1:], {"CA1": [value]}).tolist() == [0, value]


def test_probabilities_of_held_out_cases_take_the_bytes_that_are_foretold(tmp_path):
    truths = [np.zeros((8, 12), int), np.zeros((5, 4), int)]
    arrays = [np.zeros((2, *truth.shape)) for truth in truths]
    stored = write_ragged(tmp_path / "a", arrays)
    content = sum(stored[k].nbytes for k in range(2))
    assert bytes_of_held_out(prepared(truths, None), 1) == content
    assert bytes_of_held_out(prepared(truths, OPEN), 3) == 3 * content
    joined = prepared(truths, None)
    joined.dataset.facts["regions"] = {"a": [1], "b": [1], "c": [1]}
    assert bytes_of_held_out(joined, 1) == 1.5 * content
