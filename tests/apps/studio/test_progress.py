"""What a job tells becomes curves, also when it is stopped and goes on."""

from __future__ import annotations

import json

from neuroloom.apps.studio.progress import Reader


def told(file, *lines):
    with file.open("a") as handle:
        handle.writelines(json.dumps({"event": "progress"} | line) + "\n" for line in lines)


def epoch(number, loss, **more):
    fit = {"role": "model", "fit": 1, "fits": 2, "fold": "s1"}
    return fit | {"epoch": number, "loss": loss} | more


def test_a_curve_goes_on_after_a_stop(tmp_path):
    """The epochs since the last checkpoint are learnt again: they replace those that were lost."""
    file = tmp_path / "out.jsonl"
    reader = Reader(file)
    told(file, *(epoch(k, 1 / k) for k in range(1, 8)))
    assert len(reader.read(0.0).curves["loss"]["s1"]) == 7
    told(file, {"event": "resume"}, *(epoch(k, 1 / k) for k in range(5, 11)))
    assert reader.read(1.0).curves["loss"]["s1"] == [(k, 1 / k) for k in range(1, 11)]


def test_two_fits_of_a_fold_have_a_curve_each(tmp_path):
    file = tmp_path / "out.jsonl"
    told(file, epoch(1, 0.5), epoch(2, 0.4), epoch(1, 0.7, fit=2), epoch(1, 0.9, role="baseline"))
    curves = Reader(file).read(0.0).curves["loss"]
    assert curves == {
        "s1": [(1, 0.5), (2, 0.4)], "s1, model 2": [(1, 0.7)], "s1, baseline 1": [(1, 0.9)],
    }  # fmt: skip


def test_a_half_line_and_what_is_no_number_are_left_out(tmp_path):
    file = tmp_path / "out.jsonl"
    told(file, epoch(1, float("nan")), epoch(2, 0.4, good=True))
    file.write_text(file.read_text() + '{"event": "progress", "loss"')
    assert Reader(file).read(0.0).curves == {"loss": {"s1": [(2, 0.4)]}}
