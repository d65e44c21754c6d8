from ._bayesian_pmf import BayesianPMF
from ._bpr import BPR
from ._pmf import PMF

__all__ = ["BPR", "PMF", "BayesianPMF"]
