"""Pairs of a reference and a predicted image: what must hold of them, and their measures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.volumes import measures
from neuroloom.volumes.agreement.pairs import FOUND_WORDS, MOST_LISTED, LabelPair
from neuroloom.volumes.synthesis.fidelity import nearness

REAL_WORDS = ("truth", "reference", "references", "real", "target", "targets", "images")
MADE_WORDS = (*FOUND_WORDS, "made", "synthetic", "generated")


def read_pair(pair: LabelPair) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return reference and predicted image (channel, *axes), and the names of the channels.

    Raises
    ------
    DataError
        If their channels differ in number, or hold NaN.
    """
    from neuroloom.io.images import read_image, to_array

    assert pair.predicted is not None
    found = [read_image(file) for file in (pair.truth, pair.predicted)]
    a, b = (to_array(one).astype(float) for one in found)
    if len(a) != len(b):
        raise DataError(f"the reference has {len(a)} channels, the prediction {len(b)}")
    for what, values in (("reference", a), ("prediction", b)):
        if bad := int((~np.isfinite(values)).sum()):
            raise DataError(f"{bad} values of the {what} are NaN or infinite")
    return a, b, [str(name) for name in found[0]["channel"].values]


def check_images(pairs: Sequence[LabelPair]) -> None:
    """Read all pairs once.

    Raises
    ------
    DataError
        One message that lists every pair that cannot be compared.
    """
    wrong = []
    for pair in pairs:
        try:
            read_pair(pair)
        except DataError as error:
            wrong.append(f"{pair.name}: {error}")
    if wrong:
        more = f"\n… and {len(wrong) - MOST_LISTED} more" if len(wrong) > MOST_LISTED else ""
        raise DataError(
            f"{len(wrong)} of {len(pairs)} pairs of images cannot be compared; mend them or leave "
            "them out (`include`):\n" + "\n".join(wrong[:MOST_LISTED]) + more
        )


def rows_of_images(
    pair: LabelPair, metrics: Sequence[str]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the fidelity of a case and a row of measures for each channel.

    PSNR and SSIM of the case are those of `volumes.synthesize`, per range of the reference, means
    over the channels that are not flat in it; NaN where the two images are equal.
    """
    reference, image, names = read_pair(pair)
    whole = {"y_true": float(reference.std()), "y_pred": float(image.std())}
    for name, value in zip(("psnr", "ssim"), nearness(reference, image), strict=True):
        whole[name] = value if np.isfinite(value) else float("nan")
    rows = [
        {"channel": name} | measures.measure_image(a, b, metrics)
        for name, a, b in zip(names, reference, image, strict=True)
    ]
    return whole, rows
