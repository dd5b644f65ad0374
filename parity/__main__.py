"""`python -m parity [TOOL …]`: run the checks of all tools or of those named."""

from __future__ import annotations

import sys
from importlib import import_module

from neuroloom.catalogue.search import find_tool
from neuroloom.core.errors import ConfigError, NeuroloomError, nearest
from parity import harness

# Each tool's file, under the name that the catalogue gives the tool.
FILES = {
    "DeepLabCut": "parity.deeplabcut",
    "DeepPoseKit": "parity.deepposekit",
    "Allen Cell Structure Segmenter": "parity.allen",
    "AxonDeepSeg": "parity.axondeepseg",
    "braindecode": "parity.braindecode",
    "CDeep3M2": "parity.cdeep3m2",
    "CERR": "parity.cerr",
    "DeepBehavior": "parity.deepbehavior",
    "DeepBhvTracking": "parity.deepbhvtracking",
    "DANNCE": "parity.dannce",
    "DeepEEG": "parity.deepeeg",
    "DeepNeuro": "parity.deepneuro",
    "DeepVOG": "parity.deepvog",
    "DeLINEATE": "parity.delineate",
    "DLTK": "parity.dltk",
    "DN3": "parity.dn3",
    "EEG-DL": "parity.eeg_dl",
    "DNNBrain": "parity.dnnbrain",
    "ExBrainable": "parity.exbrainable",
    "ATLASS": "parity.atlass",
    "DeepInfer": "parity.deepinfer",
    "MARS, BENTO": "parity.bento",
    "MeDaS": "parity.medas",
    "NeuroCAAS": "parity.neurocaas",
    "GaNDLF": "parity.gandlf",
    "gumpy": "parity.gumpy",
    "ivadomed": "parity.ivadomed",
    "MEYE": "parity.meye",
    "LEAP, SLEAP": "parity.sleap",
    "MIScnn": "parity.miscnn",
    "MONAI": "parity.monai",
    "NeuroGym": "parity.neurogym",
    "NiftyNet": "parity.niftynet",
    "NiftyTorch": "parity.niftytorch",
    "nnU-Net": "parity.nnunet",
    "pymia": "parity.pymia",
    "PsychRNN": "parity.psychrnn",
    "PyCog": "parity.pycog",
    "SANTIA": "parity.santia",
    "THINGvision": "parity.thingsvision",
    "TorchIO": "parity.torchio",
    "Volume Segmantics": "parity.volume_segmantics",
    "VARDNN toolbox": "parity.vardnn",
}


def main(asked: list[str]) -> int:
    """Run, print and store the checks; 0 if all pass, 1 if one fails, 2 for a wrong name."""
    try:
        tools = [_known(find_tool(name).name) for name in asked] or list(FILES)
        return max([_run(tool) for tool in tools], default=0)
    except NeuroloomError as error:
        print(error, file=sys.stderr)
        return error.exit_code


def _known(tool: str) -> str:
    if tool not in FILES:
        raise ConfigError(f"No checks for '{tool}' yet.{nearest(tool, FILES)}")
    return tool


def _run(tool: str) -> int:
    """Run one tool's checks; its rows are stored once all of them have run."""
    checks, rows = import_module(FILES[tool]).CHECKS, []
    for row in harness.run(checks, harness.test_data()):
        rows.append(row)
        verdict = "passed" if row["passed"] == "true" else "FAILED"
        line = (
            f"{verdict}  {tool}: {row['claim']}: {row['figure']} ({row['bar']}), {row['seconds']} s"
        )
        print(line, flush=True)
    harness.merge(rows)
    return int(any(row["passed"] != "true" for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
