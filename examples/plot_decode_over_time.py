"""
When can two conditions be told apart?
======================================

An oddball experiment: most events are alike, a rare one is a target, and after targets the EEG over
the parietal cortex is more positive from about a third of a second on (the P300). The recordings
here are simulated, so we know when there is something to find: a decoder that moves over the trial
should be about chance before the event and rise where the P300 lies.
"""

import tempfile
from pathlib import Path

import pandas as pd

from neuroloom.signals.mvpa import Mvpa
from neuroloom.signals.simulation import Simulate

folder = Path(tempfile.mkdtemp())
made = Simulate(experiment="oddball", effect=8.0, trials=150, sessions=3).run(out=folder / "made")
recordings = made.folder / "recordings"
sorted(path.name for path in recordings.iterdir())

# %%
# A window that moves over the trial
# ----------------------------------
#
# For every window of 100 ms a decoder is trained on two sessions and tested on the third.

run = Mvpa(
    models=["shrinkage-lda"],
    over="time",
    start=-0.2,
    stop=0.8,
    width=0.1,
    step=0.05,
    splits=["session"],
    permutations=199,
).run(recordings, out=folder / "run")
scores = pd.read_csv(run.folder / "artifacts" / "scores.csv")
scores.head()

# %%
# The course of the score
# -----------------------
#
# Targets are rare, so the area under the ROC curve is what to read: 0.5 is chance, however unequal
# the classes are. Each line is a session that was held out.

import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
for session, rows in scores.groupby("held_out"):
    axes.plot(rows["time"], rows["auc"], linewidth=1, alpha=0.6, label=session)
mean = scores.groupby("time")["auc"].mean()
axes.plot(mean.index, mean, color="black")
axes.axhline(0.5, color="0.5", linewidth=1)
axes.axvline(0.0, color="0.5", linewidth=1, linestyle=":")
axes.set(xlabel="middle of the window (s)", ylabel="AUC", ylim=(0.3, 1))
axes.legend(frameon=False, fontsize="small")
plt.show()

# %%
# Where it peaks, beside what was planted: the P300 is largest 0.35 s after the event.

float(mean.idxmax())
