"""What training costs, said before it begins."""

from typing import NamedTuple

import torch
from torch import nn

from skrec.utils._memory import available_memory, check_memory
from skrec.utils._warnings import warn

# Of what people want to know before: bytes, and seconds. An autoencoder of MovieLens 20M takes up
# to 2.2 GiB, and on one thread 13 minutes an epoch.
LARGE_MEMORY = 5 * 2**29
LONG_EPOCH = 15 * 60
# Multiplications and additions in a second that a thread makes in products of float32 matrices.
SPEED = 3e10


class Cost(NamedTuple):
    """What training takes, at the least.

    Parameters
    ----------
    n_bytes : int
    epoch_seconds : float
        On the CPU; 0 where nothing is known of it.
    """

    n_bytes: int
    epoch_seconds: float = 0.0


def training_cost(make_module, *, n_copies, batch_bytes, n_rows):
    """Cost of training a module by Adam, by the sizes of its weights.

    Parameters
    ----------
    make_module : callable
        Returns the module; it is called where tensors have a shape but no memory.
    n_copies : int
        Copies of the weights that are kept beside the gradients and Adam's two moments, their
        own included.
    batch_bytes : int
        Buffers of a batch.
    n_rows : int
        Rows that go through the module's dense layers in an epoch, forward and backward.

    Returns
    -------
    cost : Cost
    """
    try:
        with torch.device("meta"):
            module = make_module()
    except RuntimeError as error:
        raise MemoryError(f"There are more weights than can be counted: {error}") from error
    n_weights = sum(weights.numel() for weights in module.parameters())
    dense = sum(layer.weight.numel() for layer in module.modules() if isinstance(layer, nn.Linear))
    # A product forward, and one for each of the gradients of inputs and weights.
    seconds = 3 * 2 * n_rows * dense / (SPEED * torch.get_num_threads())
    return Cost(4 * n_weights * (3 + n_copies) + batch_bytes, seconds)


def check_cost(cost, what, fixes, device):
    """Raise a MemoryError where training cannot fit, warn where it is large or long.

    Parameters
    ----------
    cost : Cost
    what : str
        What is trained, for the messages.
    fixes : str
        What makes it cheaper, for the messages.
    device : torch.device
    """
    on_gpu = device.type == "cuda"
    available = torch.cuda.mem_get_info(device)[0] if on_gpu else available_memory()
    check_memory(cost.n_bytes, f"Training {what}", fixes, available)
    needs = []
    if cost.n_bytes > LARGE_MEMORY:
        needs.append(f"about {cost.n_bytes / 2**30:.2g} GiB of memory")
    if cost.epoch_seconds > LONG_EPOCH and device.type == "cpu":
        needs.append(
            f"about {cost.epoch_seconds / 60:.0f} minutes an epoch on "
            f"{torch.get_num_threads()} threads"
        )
    if needs:
        warn(f"Training {what} needs {' and '.join(needs)}: {fixes}.")
