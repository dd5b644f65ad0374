"""`volumes.segment`: a trained, cross-validated segmenter from a folder of images and labels."""

from __future__ import annotations

from typing import ClassVar

from neuroloom.learn.dense.study import DenseStudy


class Segment(DenseStudy):
    """Segment medical images: planned from the data, trained, cross-validated, honestly scored.

    Reads nnU-Net, MSD and BIDS data sets, folders of images and labels, or a table. Spacing,
    normalisation, patch and net follow nnU-Net's rules, then the time and the device there are.

    Examples
    --------
    >>> Segment(budget="10min", folds=0).model
    'dynunet'
    """

    name: ClassVar[str] = "volumes.segment"
    summary: ClassVar[str] = "segment CT, MR and other volumes or images, planned by itself"
    data_kind: ClassVar[str] = "MRI, CT, volumes, images"
