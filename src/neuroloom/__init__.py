"""neuroloom: train, check, explain and share deep models on neuroscience data.

from neuroloom.signals import Decode
run = Decode(events={"T1": "fists", "T2": "feet"}, split="run").run("bids/", out="runs/mi")
run.metrics
"""

__version__ = "0.1.0"
