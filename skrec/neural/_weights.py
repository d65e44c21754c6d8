"""Weights and optimiser states as NumPy arrays, which pickle anywhere, and back."""

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from skrec.solvers._devices import to_tensor


def as_arrays(module):
    """Weights of a module by name; they share its memory where that is the CPU's."""
    return {name: value.detach().cpu().numpy() for name, value in module.state_dict().items()}


def as_tensors(arrays):
    """Tensors of arrays by name, sharing their memory where they can be written to."""
    return {name: to_tensor(array, "cpu") for name, array in arrays.items()}


def fitted_weights(name, doc):
    """Property of an estimator that shows weights of its module; `doc` is its docstring."""

    def read(estimator):
        check_is_fitted(estimator)
        return estimator._weights[name]

    return property(read, doc=doc)


def put_into(wider, weights, n_known):
    """Weights of a wider network: those of the one before, and new ones where it had none.

    Parameters
    ----------
    wider : ndarray
        First weights of the wider network. Along the axes of the items it may be longer.
    weights : ndarray
    n_known : int
        Number of items before. Whatever stands behind the items stays behind them.

    Returns
    -------
    weights : ndarray
        A new array, of the shape of `wider`.
    """
    merged = wider.copy()
    kept = [
        np.delete(np.arange(n_now), slice(n_known, n_known + n_now - n_before))
        for n_now, n_before in zip(wider.shape, weights.shape, strict=True)
    ]
    merged[np.ix_(*kept)] = weights
    return merged


def optimizer_arrays(optimizer):
    """Moments of an optimiser, by number of the weight array and kind.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer

    Returns
    -------
    moments : dict of dict of ndarray
    """
    return {
        number: {kind: np.asarray(value.cpu()) for kind, value in moments.items()}
        for number, moments in optimizer.state_dict()["state"].items()
    }


def load_optimizer(optimizer, moments):
    """Set the moments of an optimiser to copies of what `optimizer_arrays` gave.

    Those of other weights are an error: torch itself would read and write beyond their ends.
    """
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    for number, arrays in moments.items():
        for kind, array in arrays.items():
            wanted = () if kind == "step" else tuple(weights[number].shape)
            if array.shape != wanted:
                raise ValueError(
                    f"The optimiser's {kind} of weight {number} must have shape {wanted}, got "
                    f"{array.shape}: they are of another network. Set warm_start=False and fit "
                    "anew."
                )
    # Copies: the optimiser writes into its moments, and a fit that fails must not be seen in them.
    state = {
        number: {kind: torch.tensor(array) for kind, array in arrays.items()}
        for number, arrays in moments.items()
    }
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
