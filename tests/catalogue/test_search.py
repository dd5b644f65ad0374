"""Real queries, as a person would type them."""

from __future__ import annotations

import csv

import pytest

from neuroloom.catalogue.search import (
    APPS,
    KNOWN_FOR,
    OPTIONS,
    find_tool,
    like,
    load_tools,
    search,
)
from neuroloom.core.errors import ConfigError


def names(text: str | None = None, **asked: object) -> set[str]:
    return {tool.name for tool in search(text, **asked)}


@pytest.mark.parametrize(
    ("text", "expected", "foreign"),
    [
        ("I have EEG and want classification", {"braindecode", "DN3", "gumpy"}, {"nnU-Net"}),
        ("electroencephalography", {"braindecode", "DeepEEG"}, {"FastSurfer"}),
        ("I have EEG and want to explain my model", {"ExBrainable"}, {"braindecode"}),
        ("brain-computer interface", {"DN3", "gumpy"}, {"DeepEEG"}),
        ("segment MRI", {"FastSurfer", "ScLimbic"}, {"braindecode", "BART"}),
        ("segmenting microscopy images", {"CDeep3M2"}, {"FastSurfer"}),
        ("pose estimation in mice", {"DeepLabCut", "SimBA"}, {"VAME"}),
        ("real-time pose", {"DeepLabStream", "LEAP, SLEAP"}, {"DeepLabCut"}),
        ("I have calcium movies and want spikes", {"CASCADE"}, {"DeepLabCut"}),
        ("federated learning", {"Fed-BioMed", "OpenFL", "COINSTAC"}, {"nnU-Net"}),
        ("pupil", {"MEYE", "DeepVOG"}, {"VAME"}),
        ("single cell", {"DANCE"}, {"braindecode", "DeLINEATE"}),
        ("MRI registration", {"VoxelMorph, HyperMorph"}, {"FastSurfer"}),
    ],
)
def test_free_text(text: str, expected: set[str], foreign: set[str]) -> None:
    found = names(text)
    assert expected <= found
    assert not found & foreign


def test_a_tool_that_is_named_comes_first() -> None:
    assert search("EEG-DL")[0].name == "EEG-DL"
    assert search("pytorch braindecode eeg")[0].name == "braindecode"


def test_filters_narrow_each_other() -> None:
    assert names(data="EEG", task="classification", upkeep="active") == {
        "braindecode",
        "EEG-DL",
        "ExBrainable",
    }
    assert "gumpy" in names(online=True)
    assert names(online=True) | names(online=False) == {tool.name for tool in load_tools()}
    assert names(data="EEG", licence="GPL") == {"ExBrainable"}
    assert names(interface="GUI", language="MATLAB", data="local field potentials") == {"SANTIA"}
    assert names(model="LSTM", framework="PyTorch", area="behaviour") == {
        "Traja",
        "NeuroGym",
    }
    assert names() == {tool.name for tool in load_tools()}


def test_names_answer_whatever_their_case() -> None:
    assert find_tool("hypermorph").name == "VoxelMorph, HyperMorph"
    assert find_tool("antspynet").name.startswith("ANTsX")
    assert all(find_tool(tool.name) is tool for tool in load_tools())


def test_an_unknown_tool_suggests_the_nearest() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'braindecode'"):
        like("brainecode")


def test_like_prints_a_command_or_says_not_yet() -> None:
    assert like("braindecode").startswith("neuroloom run signals.decode DATA --model ")
    assert like("gumpy").endswith("--out runs/gumpy")
    assert like("nnU-Net") == "neuroloom run volumes.segment DATA --folds 5 --out runs/nnu-net"
    assert like("AxonDeepSeg") == "neuroloom run microscopy.axon DATA --out runs/axondeepseg"
    assert like("CERR") == "neuroloom run volumes.radiomics DATA --out runs/cerr"
    assert like("DeepLabCut") == "neuroloom run pose.estimate DATA --out runs/deeplabcut"
    assert like("DLTK").startswith("neuroloom run volumes.synthesize DATA --kind autoencoder")
    assert like("DeepBehavior").startswith("neuroloom run pose.track DATA")
    assert like("MeDaS") == like("DeepInfer") == "neuroloom studio"
    assert like("SimBA").startswith("not yet: ")
    assert set(KNOWN_FOR) <= {tool.name for tool in load_tools()}
    for tool in load_tools():
        app = tool.recipes[0] in APPS
        ready = "neuroloom run" if tool.ready else "not yet"
        assert like(tool.name).startswith("neuroloom studio" if app else ready)


def test_options_are_settings_of_the_recipe() -> None:
    from neuroloom.core.registry import load

    for name, options in OPTIONS.items():
        words = options.split()
        asked = {
            flag.removeprefix("--"): value
            for flag, value in zip(words[::2], words[1::2], strict=True)
        }
        load("recipe", KNOWN_FOR.get(name, find_tool(name).ready[0]))(**asked)


def test_the_table_is_the_review(test_data) -> None:
    """All facts equal those of the review's table; the licence column is ours."""
    source = test_data.parent / "tools.csv"
    if not source.is_file():
        pytest.skip("the review's table is not beside the test data")
    with source.open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    ours = [{key: getattr(tool, key) for key in rows[0]} for tool in load_tools()]
    assert ours == rows


def test_a_tool_whose_recipes_are_not_all_built_says_so(monkeypatch) -> None:
    monkeypatch.setattr("neuroloom.catalogue.search.state", lambda name: "passed (2026-11-22, 1)")
    assert find_tool("braindecode").parity == "passed (2026-11-22, 1)"
    assert find_tool("gumpy").parity == "passed (2026-11-22, 1); not yet: live"
    assert find_tool("ATLASS").parity == "passed (2026-11-22, 1)"
