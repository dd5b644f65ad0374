"""
Decode imagined movements
=========================

A person imagines moving the left or the right hand; the EEG over the motor cortex tells which. Here
the recordings are simulated on a template head, with two sources whose rhythm fades on the side
opposite to the hand, so that we know what there is to find. Three sessions, one file each.
"""

import tempfile
from pathlib import Path

from neuroloom.core.files import read_json
from neuroloom.signals import Decode
from neuroloom.signals.simulate import write_demo

folder = Path(tempfile.mkdtemp())
recordings = folder / "recordings"
write_demo(recordings)
sorted(path.name for path in recordings.iterdir())

# %%
# Say what a trial is
# -------------------
#
# Two annotations become two classes; a trial is what lies between ``start`` and ``stop`` seconds
# after them. ``split="session"`` trains on two sessions and tests on the third, three times over.
# Settings that do not fit, or a word that is misspelt, are refused at once.

decode = Decode(
    model="riemann",
    events={"left": "left hand", "right": "right hand"},
    start=1.0,
    stop=4.0,
    split="session",
)
run = decode.run(recordings, out=folder / "run")

# %%
# The result
# ----------
#
# Each number comes with its interval, the baseline on the same folds, and chance.

accuracy = read_json(run.folder / "metrics.json")["accuracy"]
accuracy

# %%
# Every figure of a run is computed from one table: a row for each trial that the model had not
# seen when it predicted it.

run.predictions.head()

# %%
# A picture of it
# ---------------
#
# The probability of the right class, session by session. Half of the points of a model that had
# learnt nothing would lie on each side of the line.

import matplotlib.pyplot as plt
import numpy as np

trials = run.predictions.query("role == 'model'")
truth = [trials.loc[row, f"p_{trials.loc[row, 'y_true']}"] for row in trials.index]
spread = np.random.default_rng(0).uniform(-0.2, 0.2, len(trials))

figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
axes.scatter(trials["fold"] + spread, truth, s=14, alpha=0.7)
axes.axhline(0.5, color="0.5", linewidth=1)
axes.set(xlabel="session held out", ylabel="probability of the true class", ylim=(0, 1))
axes.set_xticks(sorted(trials["fold"].unique()))
plt.show()

# %%
# What is left behind
# -------------------
#
# ``report.html`` is one page that can be mailed to a colleague; the rest of the folder is what
# ``predict``, ``evaluate``, ``compare``, ``resume`` and ``replay`` need.

sorted(path.name for path in run.folder.iterdir())
