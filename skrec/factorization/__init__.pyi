from ._bayesian_pmf import BayesianPMF
from ._pmf import PMF

__all__ = ["PMF", "BayesianPMF"]
