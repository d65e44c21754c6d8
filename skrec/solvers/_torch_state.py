"""torch's state of the thread and of the process, on which no model depends."""

from contextlib import ExitStack, contextmanager

import torch

from skrec.utils import _forks


@contextmanager
def torch_state(training=False):
    """Compute in a state of torch of our own, and put that of the calling thread back.

    It may be in inference mode, without gradients, in another precision (autocast) or on another
    default device. The default dtype belongs to all threads of the process and is left alone:
    tensors are made with a dtype.

    Parameters
    ----------
    training : bool, default=False
        Whether gradients are needed; otherwise it is inference mode.
    """
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(not training))  # False brings gradients back
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        yield


def compute_after_fork():
    """Let a forked process compute on one thread, before it waits for others.

    A fork copies what torch knows of its threads, but not the threads: work that is shared among
    them would never end.
    """
    if _forks.IS_FORKED and torch.get_num_threads() > 1:
        torch.set_num_threads(1)
