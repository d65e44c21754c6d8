"""Where a model on torch runs: the device, and the other processes that train with it."""

import os

import torch


def resolve_device(name, missing_ok=False):
    """Turn a ``device`` parameter into a torch device.

    Parameters
    ----------
    name : str
        "auto" takes a GPU if there is one.
    missing_ok : bool, default=False
        Whether to take the CPU where the named device does not exist, as for a model that was
        fitted elsewhere.

    Returns
    -------
    device : torch.device
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next((kind for kind, found in available.items() if found), "cpu"))
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", *available):
        raise ValueError(
            f"device must be 'auto', 'cpu', 'cuda' (or 'cuda:1', ...) or 'mps', got {name!r}."
        )
    if available.get(device.type, True):
        return device
    if missing_ok:
        return torch.device("cpu")
    raise ValueError(
        f"device={name!r} needs a GPU that torch can use, and it finds none: use device='auto' or "
        "device='cpu'."
    )


def make_accelerator(device):
    """Join the processes that ``torchrun`` or ``accelerate launch`` has started, if any.

    Parameters
    ----------
    device : str
        The ``device`` parameter; "cpu" keeps every process off the GPUs.

    Returns
    -------
    accelerator : accelerate.Accelerator or None
        None where this process trains alone.
    """
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        return None
    try:
        from accelerate import Accelerator, DistributedDataParallelKwargs
    except ImportError as error:
        raise ImportError(
            "Training in several processes (WORLD_SIZE is set) needs accelerate: "
            "pip install skrec[distributed]."
        ) from error
    # Models with alternating phases leave part of the weights without a gradient.
    options = DistributedDataParallelKwargs(find_unused_parameters=True)
    on_cpu = resolve_device(device).type == "cpu"
    return Accelerator(cpu=on_cpu, kwargs_handlers=[options])
