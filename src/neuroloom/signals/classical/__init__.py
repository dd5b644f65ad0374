"""Decoders that need no training loop: what stands beside every net.

An estimator is a pair: a `Features` (spatial filters, covariances, band power, samples …) and a
`Head` that learns from them (discriminant analysis, support vectors, trees …). Both are learnt in
the training fold, kept as named arrays, and rebuilt from these alone.
"""

from neuroloom.signals.classical.csp import CspLda
from neuroloom.signals.classical.riemann import Riemann

__all__ = ["CspLda", "Riemann"]
