"""Training on a user's items against items that the user has not: pairs, draws and losses."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.nn.functional import logsigmoid

from skrec.neural._observed import observed_products
from skrec.solvers._devices import to_tensor

# Draws of a negative before the items that a user has not are listed instead.
N_REDRAWS = 16


@dataclass(frozen=True)
class SampledBatch:
    """Entries of a matrix, each with items that its row has no entry for.

    Parameters
    ----------
    users, positives : int64 tensor of shape (n_pairs,)
        Row and column of each entry.
    negatives : int64 tensor of shape (n_pairs, n_negatives)
    n_total : int
        Entries in the batch over all processes: what means are taken over.
    """

    users: torch.Tensor
    positives: torch.Tensor
    negatives: torch.Tensor
    n_total: int


class NegativeSamplingStore(torch.utils.data.Dataset):
    """A matrix that hands out its entries in batches, each with negatives drawn for it.

    Parameters
    ----------
    X : csr_array of shape (n_users, n_items)
    n_negatives : int
        Items drawn for each entry, with replacement.
    rng : numpy.random.Generator
        Draws them, anew at each pass; equal in all processes.
    device : torch.device
    power : float, default=0.0
        Items are drawn in proportion to their number of users to this power.

    Notes
    -----
    Entries of users who have every item that may be drawn are left out.
    """

    def __init__(self, X, n_negatives, rng, device, power=0.0):
        self.n_negatives = n_negatives
        self.rng = rng
        self.device = device
        n_users, self._n_items = X.shape
        users = np.repeat(np.arange(n_users), np.diff(X.indptr))
        items = X.indices.astype(np.int64)
        self._entries = np.unique(users * self._n_items + items)  # numbers of pairs, ascending
        self._weights = powers_of_counts(np.bincount(items, minlength=self._n_items), power)
        n_known = np.bincount(users, weights=self._weights[items] > 0, minlength=n_users)
        is_comparable = (n_known < np.count_nonzero(self._weights))[users]
        self._users, self._items = users[is_comparable], items[is_comparable]
        totals = np.cumsum(self._weights)
        self._cumulative = totals / totals[-1] if power else None

    def __len__(self):
        return len(self._users)

    def batches(self, batch_size, order=None, process=0, n_processes=1):
        """Yield entries in batches.

        Parameters
        ----------
        batch_size : int
            Entries of a batch over all processes.
        order : ndarray of int, default=None
            Which entries, in which order. None means all, as they stand.
        process, n_processes : int, default=(0, 1)
            Which share of each batch is cut here. All processes draw the negatives of the whole.
        """
        order = np.arange(len(self)) if order is None else order
        for start in range(0, len(order), batch_size):
            pairs = order[start : start + batch_size]
            parts = self._users[pairs], self._items[pairs], self.draw(self._users[pairs])
            share = (to_tensor(part[process::n_processes], self.device) for part in parts)
            yield SampledBatch(*share, len(pairs))

    def draw(self, users):
        """Draw items that users have no entry for, an array of shape (n_users, n_negatives)."""
        owners = np.repeat(users, self.n_negatives)
        drawn = np.empty(len(owners), dtype=np.int64)
        left = np.arange(len(owners))
        for _ in range(N_REDRAWS):
            drawn[left] = self._draw_any(len(left))
            left = left[self._is_entry(owners[left], drawn[left])]
        for user in np.unique(owners[left]):
            others = np.flatnonzero(self._weights)
            others = others[~self._is_entry(user, others)]
            weights = self._weights[others] / self._weights[others].sum()
            of_user = left[owners[left] == user]
            drawn[of_user] = self.rng.choice(others, len(of_user), p=weights)
        return drawn.reshape(-1, self.n_negatives)

    def _draw_any(self, n):
        if self._cumulative is None:
            return self.rng.integers(self._n_items, size=n)
        return np.searchsorted(self._cumulative, self.rng.random(n), side="right")

    def _is_entry(self, users, items):
        pairs = users * self._n_items + items
        positions = np.searchsorted(self._entries, pairs)
        return self._entries[np.minimum(positions, len(self._entries) - 1)] == pairs


def powers_of_counts(counts, power):
    """Powers of the shares of the largest count, which no power makes overflow."""
    return (counts / max(1, counts.max())) ** power


def draw_negatives(batch, n_negatives, generator, cumulative=None):
    """Draw items that the rows of a batch have no entry for, on its device.

    Parameters
    ----------
    batch : SparseBatch
        Items ascending within each row.
    n_negatives : int
        Items drawn for each entry, with replacement.
    generator : torch.Generator
    cumulative : tensor of shape (n_items,), default=None
        Cumulative probabilities of the items, ending at 1. None: all are as likely.

    Returns
    -------
    negatives : int64 tensor of shape (n_entries, n_negatives)
        -1 where `N_REDRAWS` draws in a row were entries, for rows that have almost all items.
    """
    rows = batch.rows.repeat_interleave(n_negatives)
    device = rows.device
    drawn = torch.full_like(rows, -1)
    left = torch.arange(len(rows), device=device)
    known = batch.flat
    for _ in range(N_REDRAWS):
        if len(left) == 0:
            break
        if cumulative is None:
            items = torch.randint(batch.n_items, (len(left),), generator=generator, device=device)
        else:
            draws = torch.rand(
                len(left), generator=generator, dtype=cumulative.dtype, device=device
            )
            items = torch.searchsorted(cumulative, draws, right=True)
        pairs = rows[left] * batch.n_items + items
        places = torch.searchsorted(known, pairs).clamp_(max=len(known) - 1)
        is_entry = known[places] == pairs
        drawn[left] = torch.where(is_entry, -1, items)
        left = left[is_entry]
    return drawn.reshape(-1, n_negatives)


def sampled_outputs(hidden, layer, batch, negatives, missing):
    """Outputs of a linear layer at the entries of a batch and their negatives, and at no others.

    Parameters
    ----------
    hidden : tensor of shape (n_rows, n_hidden)
    layer : torch.nn.Linear
        From hidden units to items.
    batch : SparseBatch
    negatives : int64 tensor of shape (n_entries, n_negatives)
        As of :func:`draw_negatives`.
    missing : float
        What stands for the output of a negative that there is none of.

    Returns
    -------
    positive : tensor of shape (n_entries,)
    negative : tensor of shape (n_entries, n_negatives)
        They can be differentiated once.
    """
    chosen = torch.cat([batch.items[:, None], negatives.clamp(min=0)], dim=1)
    pairs = replace(
        batch,
        items=chosen.view(-1),
        offsets=batch.offsets * chosen.shape[1],
        values=batch.values.new_empty(chosen.numel()),
    )
    products = observed_products(hidden, layer.weight, pairs)
    outputs = (products + layer.bias.index_select(0, pairs.items)).view(chosen.shape)
    return outputs[:, 0], outputs[:, 1:].masked_fill(negatives < 0, missing)


def bpr_loss(positive, negative):
    r"""Negative log-probability that each entry ranks before its negatives, summed over these.

    .. math:: -\sum_k \log \sigma(f^+ - f^-_k)

    Parameters
    ----------
    positive : tensor of shape (n_pairs,)
        Scores of the entries.
    negative : tensor of shape (n_pairs, n_negatives)

    Returns
    -------
    loss : tensor of shape (n_pairs,)
    """
    return -logsigmoid(positive[:, None] - negative).sum(dim=1)


def sampled_cross_entropy(positive, negative):
    r"""Binary cross-entropy of each entry, a one, and of its negatives, zeros.

    .. math:: -\log \sigma(f^+) - \sum_k \log (1 - \sigma(f^-_k))

    Parameters
    ----------
    positive : tensor of shape (n_pairs,)
        Logits of the entries.
    negative : tensor of shape (n_pairs, n_negatives)

    Returns
    -------
    loss : tensor of shape (n_pairs,)
    """
    return -logsigmoid(positive) - logsigmoid(-negative).sum(dim=1)


def sampled_squared_error(positive, negative):
    r"""Half the squared error of each entry, a one, and of its negatives, zeros.

    .. math:: \tfrac12 (1 - f^+)^2 + \tfrac12 \sum_k (f^-_k)^2

    Parameters
    ----------
    positive : tensor of shape (n_pairs,)
        Scores of the entries.
    negative : tensor of shape (n_pairs, n_negatives)

    Returns
    -------
    loss : tensor of shape (n_pairs,)
    """
    return ((1 - positive) ** 2 + (negative**2).sum(dim=1)) / 2
