from ._bayesian_pmf import BayesianPMF
from ._bpr import BPR
from ._ials import IALS
from ._mdacf import MDACF
from ._pmf import PMF

__all__ = ["BPR", "IALS", "MDACF", "PMF", "BayesianPMF"]
