"""Training on a user's items against items that the user has not: draws and losses."""

from dataclasses import replace

import torch
from torch.nn.functional import logsigmoid

from skrec.neural._observed import observed_products

# Draws of a negative before there is none.
N_REDRAWS = 16


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
