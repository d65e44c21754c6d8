"""Weights and optimiser states as NumPy arrays, which pickle anywhere, and back."""

import numpy as np

from skrec.neural._batches import to_tensor


def as_arrays(module):
    """Weights of a module by name; they share its memory where that is the CPU's."""
    return {name: value.detach().cpu().numpy() for name, value in module.state_dict().items()}


def as_tensors(arrays):
    """Tensors of arrays by name, sharing their memory where they can be written to."""
    return {name: to_tensor(array, "cpu") for name, array in arrays.items()}


def optimizer_arrays(optimizers):
    """Moments of each optimiser, by name, number of the weight array, and kind.

    Parameters
    ----------
    optimizers : dict of torch.optim.Optimizer

    Returns
    -------
    moments : dict of dict of dict of ndarray
    """
    return {
        name: {
            number: {kind: np.asarray(value.cpu()) for kind, value in moments.items()}
            for number, moments in optimizer.state_dict()["state"].items()
        }
        for name, optimizer in optimizers.items()
    }


def load_optimizers(optimizers, moments):
    """Set the moments of optimisers to what `optimizer_arrays` gave."""
    for name, optimizer in optimizers.items():
        state = {number: as_tensors(arrays) for number, arrays in moments[name].items()}
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
