"""Microscopy: axons and myelin measured one by one, classic segmentation as named pipelines.

    from neuroloom.microscopy.morphometry import morphometry
    table = morphometry(axon, myelin, pixel_size_um=0.07)

`morphometry` measures axons, `measures` sums them up; `pipelines` are thresholding workflows as
data; `instances` turns probability maps into objects; `curate` corrects masks by hand.
"""

from __future__ import annotations
