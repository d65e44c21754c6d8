"""Names of other libraries that are private or experimental: what a new version may break.

scikit-learn's names here stand in private modules, yet third-party estimators use them; nothing
public replaces them. The upper bounds in ``pyproject.toml`` keep versions away in which nobody has
looked whether they are still there. torch is imported only where it is called.
"""

from sklearn import model_selection
from sklearn.base import _fit_context

# The registry of ``scoring="accuracy"``, and one of the functions that have copies of its names.
from sklearn.metrics._scorer import _SCORERS, check_scoring

# The base of every search, third parties' too: nothing else tells a search from other estimators.
from sklearn.model_selection._search import BaseSearchCV

# Rows of any container, as cross-validation cuts them. sklearn.utils.resample shuffles besides.
from sklearn.utils import _safe_indexing as safe_indexing

# Heeds OMP_NUM_THREADS and joblib's workers; joblib.cpu_count() does not heed the first.
from sklearn.utils._openmp_helpers import (
    _openmp_effective_n_threads as openmp_effective_n_threads,
)

# A plain error where matplotlib is missing.
from sklearn.utils._optional_dependencies import check_matplotlib_support

# Constraints of parameters, with the messages that scikit-learn's users know.
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    Options,
    StrOptions,
    validate_parameter_constraints,
    validate_params,
)

# Parameters of estimators that stand in a list with their names: ``ease__l2``, ``ease="drop"``.
from sklearn.utils.metaestimators import _BaseComposition as BaseComposition

# Weights of rows as an array of their number and precision.
from sklearn.utils.validation import _check_sample_weight as check_weights

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:

    class CallbackSupportMixin:
        """Stands in where scikit-learn has no callbacks, which are experimental, or moved them."""

        def _init_callback_context(self, **kwargs):
            return None


__all__ = [
    "BaseComposition",
    "BaseSearchCV",
    "CallbackSupportMixin",
    "HasMethods",
    "Interval",
    "Options",
    "StrOptions",
    "check_matplotlib_support",
    "check_weights",
    "divide_by_norms",
    "fit_context",
    "onednn_linear",
    "openmp_effective_n_threads",
    "register_scorers",
    "safe_indexing",
    "validate_parameter_constraints",
    "validate_params",
]

# Validates parameters, with those of nested estimators, before a method of training begins.
fit_context = _fit_context(prefer_skip_nested_validation=False)


def register_scorers(scorers):
    """Let scikit-learn find scorers by name, as in ``GridSearchCV(..., scoring="ndcg@10")``.

    Each of its searches and functions checks `scoring` against the names that there were when it
    was defined.

    Parameters
    ----------
    scorers : dict of str to callable
    """
    _SCORERS.update(scorers)
    for asking in (check_scoring, *vars(model_selection).values()):
        constraints = getattr(asking, "_parameter_constraints", None)
        constraints = constraints or getattr(asking, "_skl_parameter_constraints", {})
        for constraint in constraints.get("scoring", ()):
            if isinstance(constraint, StrOptions):
                constraint.options.update(scorers)


def onednn_linear(left, right, bias=None):
    """``left @ right.T + bias`` of float32 tensors on the CPU, by oneDNN.

    torch's compiler calls this operator. No public function does: ``nn.functional.linear``, which
    takes its place in a torch that has it no more, multiplies with MKL.
    """
    import torch

    if not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return torch.nn.functional.linear(left, right, bias)
    return torch.ops.mkldnn._linear_pointwise(left, right, bias, "none", [], "")


def divide_by_norms(tensors):
    """Divide each tensor by its norm, in place, with one call of the device for all of them.

    The foreach operators are documented, as beta, and torch's own optimizers stand on them.
    """
    import torch

    norms = torch._foreach_norm(tensors)
    torch._foreach_div_(tensors, [norm + 1e-7 for norm in norms])
