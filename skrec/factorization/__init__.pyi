from ._bayesian_pmf import BayesianPMF
from ._bpr import BPR
from ._co_clustering import CoClustering
from ._hpf import HPF
from ._ials import IALS
from ._mdacf import MDACF
from ._non_negative_pmf import NonNegativePMF
from ._pmf import PMF
from ._robust_pmf import RobustPMF
from ._sparse_covariance_pmf import SparseCovariancePMF
from ._svdpp import SVDpp

__all__ = [
    "BPR",
    "HPF",
    "IALS",
    "MDACF",
    "PMF",
    "BayesianPMF",
    "CoClustering",
    "NonNegativePMF",
    "RobustPMF",
    "SVDpp",
    "SparseCovariancePMF",
]
