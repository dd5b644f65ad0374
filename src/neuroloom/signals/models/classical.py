"""Estimators: what needs no training loop."""

from __future__ import annotations

from typing import Any

from neuroloom.learn.model import Model
from neuroloom.signals.models.build import (
    EVOKED,
    MUSCLE,
    RHYTHM,
    SPECTRUM,
    estimator,
    learner,
    voting,
)

CLASSES = ("classification",)


def _pipeline(name: str, features: str, head: str, **words: Any) -> Model:
    """Describe an estimator of `neuroloom.signals.classical.build`."""
    fixed = {"name": name, "features": features, "head": head}
    place = "neuroloom.signals.classical.build:pipeline"
    return estimator(name, place, wants=("rate",), fixed=fixed, **words)


csp_lda = estimator(
    "csp-lda",
    "neuroloom.signals.classical:CspLda",
    summary="common spatial patterns, log variance, linear discriminant analysis; 8-30 Hz",
    source="Blankertz et al. (2008), IEEE Signal Process. Mag. 25(1), 41-56",
    tasks=CLASSES,
    likes=RHYTHM,
)
riemann = estimator(
    "riemann",
    "neuroloom.signals.classical:Riemann",
    summary="covariances in the Riemannian tangent space, logistic (or ridge) regression; 8-30 Hz",
    source="Barachant et al. (2012), IEEE Trans. Biomed. Eng. 59(4), 920-928",
    likes=RHYTHM,
)
mdm = _pipeline(
    "mdm",
    "whitened",
    "nearest-mean",
    summary="covariances, minimum Riemannian distance to the class means; 8-30 Hz",
    source="Barachant et al. (2012), IEEE Trans. Biomed. Eng. 59(4), 920-928",
    tasks=CLASSES,
    likes=RHYTHM,
)
fbcsp = _pipeline(
    "fbcsp",
    "fbcsp",
    "lda",
    summary="nine bands, common spatial patterns, the most telling chosen; 4-40 Hz",
    source="Ang et al. (2008), Proc. IJCNN, 2390-2397",
    tasks=CLASSES,
    likes={"band": (4.0, 40.0), "signal": "rhythm"},
)
band_power = _pipeline(
    "band-power",
    "bandpower",
    "shrinkage-lda",
    summary="log power in six bands, discriminant analysis (or ridge) with shrinkage; 1-45 Hz",
    source="Pfurtscheller & Lopes da Silva (1999), Clin. Neurophysiol. 110(11), 1842-1857",
    likes=SPECTRUM,
)
lda = _pipeline(
    "lda",
    "time",
    "lda",
    obeys=("features",),
    summary="linear discriminant analysis (or ridge) of the clipped samples; 1-30 Hz",
    source="Fisher (1936), Ann. Eugen. 7(2), 179-188",
    likes=EVOKED,
)
shrinkage_lda = _pipeline(
    "shrinkage-lda",
    "time",
    "shrinkage-lda",
    obeys=("features",),
    summary="discriminant analysis (or ridge) with shrinkage of the clipped samples; 1-30 Hz",
    source="Blankertz et al. (2011), NeuroImage 56(2), 814-825",
    likes=EVOKED,
)
svm = _pipeline(
    "svm",
    "time",
    "svm",
    obeys=("features",),
    summary="support vectors with a Gaussian kernel on the clipped samples; 1-30 Hz",
    source="Cortes & Vapnik (1995), Mach. Learn. 20, 273-297",
    likes=EVOKED,
)
knn = _pipeline(
    "knn",
    "time",
    "knn",
    obeys=("features",),
    summary="nearest neighbours of the clipped samples, their number by inner folds; 1-30 Hz",
    source="Cover & Hart (1967), IEEE Trans. Inf. Theory 13(1), 21-27",
    likes=EVOKED,
)
forest = _pipeline(
    "forest",
    "bandpower",
    "forest",
    obeys=("features",),
    summary="random forest of 300 trees on log band power; 1-45 Hz",
    source="Breiman (2001), Mach. Learn. 45, 5-32",
    likes=SPECTRUM,
)
sffs = _pipeline(
    "sffs",
    "bandpower",
    "sffs",
    obeys=("features",),
    summary="floating selection of up to ten band powers, discriminant analysis; 1-45 Hz",
    source="Pudil et al. (1994), Pattern Recognit. Lett. 15(11), 1119-1125",
    tasks=CLASSES,
    likes=SPECTRUM,
)
xdawn = _pipeline(
    "xdawn",
    "xdawn",
    "logistic",
    summary="evoked responses: xDAWN filters, covariance with the response, tangent space; 1-30 Hz",
    source="Rivet et al. (2009), IEEE Trans. Biomed. Eng. 56(8), 2035-2043",
    tasks=CLASSES,
    likes=EVOKED,
)
erp_cov = _pipeline(
    "erp-cov",
    "erp-cov",
    "logistic",
    summary="evoked responses: covariance with the average response, tangent space; 1-30 Hz",
    source="Congedo et al. (2013), arXiv:1310.8115",
    tasks=CLASSES,
    likes=EVOKED,
)
log_rms = _pipeline(
    "log-rms",
    "rms",
    "lda",
    summary="muscle activity: log amplitude of each channel, discriminant analysis (or ridge)",
    source="Hudgins et al. (1993), IEEE Trans. Biomed. Eng. 40(1), 82-94",
    likes=MUSCLE,
)
emg = _pipeline(
    "emg",
    "muscle",
    "shrinkage-lda",
    summary="muscle activity: amplitude, waveform length, crossings, log-covariance; shrinkage LDA",
    source="Hudgins et al. (1993), IEEE Trans. Biomed. Eng. 40(1), 82-94",
    likes=MUSCLE,
)
vote = voting(
    "voting",
    ("csp-lda", "fbcsp", "riemann"),
    summary="rhythms: csp-lda, fbcsp and riemann vote; 8-30 Hz",
    source="Kittler et al. (1998), IEEE Trans. Pattern Anal. Mach. Intell. 20(3), 226-239",
    tasks=CLASSES,
    likes=RHYTHM,
)
evoked_net = learner(
    "evoked-net",
    "neuroloom.signals.classical.evoked_net:EvokedNet",
    summary="evoked responses: EEGNet on clipped samples, trained for 30 epochs; 1-30 Hz",
    source="Lawhern et al. (2018), J. Neural Eng. 15, 056013",
    tasks=CLASSES,
    likes=EVOKED,
)
erp = voting(
    "erp",
    ("shrinkage-lda", "xdawn", "erp-cov", "evoked-net"),
    summary="evoked responses: shrinkage-lda, xdawn, erp-cov and evoked-net vote; 1-30 Hz",
    source="Kittler et al. (1998), IEEE Trans. Pattern Anal. Mach. Intell. 20(3), 226-239",
    tasks=CLASSES,
    likes=EVOKED,
)
