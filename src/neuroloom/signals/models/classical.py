"""Estimators: what needs no training loop."""

from neuroloom.signals.models.build import MOTOR, estimator

csp_lda = estimator(
    "csp-lda",
    "neuroloom.signals.classical:CspLda",
    summary="common spatial patterns, log variance, linear discriminant analysis; 8-30 Hz",
    source="Blankertz et al. (2008), IEEE Signal Process. Mag. 25(1), 41-56",
    tasks=("classification",),
    likes={"band": MOTOR},
)
riemann = estimator(
    "riemann",
    "neuroloom.signals.classical:Riemann",
    summary="covariances in the Riemannian tangent space, logistic (or ridge) regression; 8-30 Hz",
    source="Barachant et al. (2012), IEEE Trans. Biomed. Eng. 59(4), 920-928",
    likes={"band": MOTOR},
)
