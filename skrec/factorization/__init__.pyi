from ._bayesian_pmf import BayesianPMF
from ._ials import IALS
from ._pmf import PMF

__all__ = ["IALS", "PMF", "BayesianPMF"]
