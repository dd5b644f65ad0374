"""neuroloom: train, check, explain and share deep models on neuroscience data.

Five lines make a study::

    from neuroloom.signals import Decode

    decode = Decode(events={"T1": "fists", "T2": "feet"}, split="run")
    run = decode.run("recordings/", out="runs/mi")
    run.metrics
"""

__version__ = "0.1.0"
