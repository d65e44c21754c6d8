from ._bayesian_pmf import BayesianPMF
from ._bpr import BPR
from ._ials import IALS
from ._pmf import PMF
from ._sparse_covariance_pmf import SparseCovariancePMF
from ._svdpp import SVDpp

__all__ = ["BPR", "IALS", "PMF", "BayesianPMF", "SVDpp", "SparseCovariancePMF"]
