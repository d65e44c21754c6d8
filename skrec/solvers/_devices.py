"""Where a model on torch runs: the device, and the other processes that train with it."""

import os
from dataclasses import dataclass

import numpy as np
import torch

from skrec.solvers._torch_state import compute_after_fork


def resolve_device(name, missing_ok=False, needs_float64=False):
    """Turn a ``device`` parameter into a torch device.

    Parameters
    ----------
    name : str
        "auto" takes a CUDA GPU if there is one, else the CPU. MPS is taken only if it is named:
        older versions of torch lack operations there.
    missing_ok : bool, default=False
        Whether to take the CPU where the named device does not exist, as for a model that was
        fitted elsewhere.
    needs_float64 : bool, default=False
        Whether there is work in double precision, which MPS has not.

    Returns
    -------
    device : torch.device
    """
    compute_after_fork()  # whatever computes with torch asks for its device first
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device("cuda" if available["cuda"] else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", *available):
        raise ValueError(
            f"device must be 'auto', 'cpu', 'cuda' (or 'cuda:1', ...) or 'mps', got {name!r}."
        )
    if needs_float64 and device.type == "mps":
        raise ValueError(
            f"device={name!r} has no double precision, in which this model adds up: use "
            "device='cpu'."
        )
    if available.get(device.type, True):
        return device
    if missing_ok:
        return torch.device("cpu")
    raise ValueError(
        f"device={name!r} needs a GPU that torch can use, and it finds none: use device='auto' or "
        "device='cpu'."
    )


@dataclass(frozen=True)
class Placement:
    """Where a model trains, alone or with other processes.

    Parameters
    ----------
    device : torch.device
    accelerator : accelerate.Accelerator or None
        None where this process trains alone.
    """

    device: torch.device
    accelerator: object = None

    @property
    def process(self):
        return self.accelerator.process_index if self.accelerator else 0

    @property
    def n_processes(self):
        return self.accelerator.num_processes if self.accelerator else 1

    def from_first(self, function):
        """Call a function in the first process and tell the others its result.

        Processes that disagreed, if only in the last digit of a score, could stop at different
        epochs and wait for each other for ever.
        """
        if self.accelerator is None:
            return function()
        from accelerate.utils import broadcast_object_list

        return broadcast_object_list([function() if self.process == 0 else None])[0]

    def mean(self, values):
        """Average a tensor over the processes."""
        return values if self.accelerator is None else self.accelerator.reduce(values, "mean")

    def make_trainer(self, trainer_class, *args, **options):
        """Make a trainer that runs here, with the other processes if there are any."""
        options["placement"] = self
        if self.accelerator is None:
            return trainer_class(*args, device=self.device, **options).initialize()
        from skorch.hf import AccelerateMixin

        trainer_class = type("AcceleratedTrainer", (AccelerateMixin, trainer_class), {})
        return trainer_class(*args, accelerator=self.accelerator, **options).initialize()


def place(device):
    """Find the device, and join the processes that ``torchrun`` has started, if any.

    Parameters
    ----------
    device : str
        The ``device`` parameter; "cpu" keeps every process off the GPUs.

    Returns
    -------
    placement : Placement
    """
    resolved = resolve_device(device)
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        return Placement(resolved)
    try:
        from accelerate import Accelerator, DistributedDataParallelKwargs
    except ImportError as error:
        raise ImportError(
            "Training in several processes (WORLD_SIZE is set) needs accelerate: "
            'pip install "scikit-recommend[distributed]".'
        ) from error
    # Models with alternating phases leave part of the weights without a gradient.
    options = DistributedDataParallelKwargs(find_unused_parameters=True)
    accelerator = Accelerator(cpu=resolved.type == "cpu", kwargs_handlers=[options])
    return Placement(accelerator.device, accelerator)


def to_tensor(array, device):
    """Copy or share a NumPy array as a tensor; torch refuses to share read-only memory."""
    if not array.flags.writeable:
        return torch.tensor(array, device=device)
    return torch.from_numpy(np.ascontiguousarray(array)).to(device)
