"""Mult-VAE as one would write it by hand, with the settings of the paper.

The sparse loop shares skrec's layer over sparse rows and its fused likelihood, so that all that
differs is what skrec's trainer and batches add. The dense loop has nothing of skrec.
"""

from time import perf_counter

import torch
from torch import nn
from torch.nn import functional as F

from skrec.neural._batch_linear import full_batch

HIDDEN, LATENT, BATCH, DROPOUT = 600, 200, 500, 0.5
LEARNING_RATE, BETA, ANNEALING = 1e-3, 0.2, 200_000


def sparse_loop(X, n_epochs, device):
    """Train on sparse batches; return the moment at which each epoch ended, and its loss."""
    from skrec.neural._batches import SparseBatch
    from skrec.neural._layers import SparseLinear
    from skrec.neural._likelihoods import output_nll

    first = SparseLinear(X.shape[1], HIDDEN)
    middle, output = _middle(), nn.Linear(HIDDEN, X.shape[1])

    def objective(users, beta):
        rows = X[users.numpy()]
        items = torch.from_numpy(rows.indices).long().to(device)
        offsets = torch.from_numpy(rows.indptr).long().to(device)
        values = torch.from_numpy(rows.data).to(device)
        batch = SparseBatch(items, offsets, values, X.shape[1], users, len(users))
        scaled = values / batch.sum_rows(values**2).sqrt()[batch.rows]
        kept = torch.rand(len(values), device=device) >= DROPOUT
        n_kept = torch.cat([offsets.new_zeros(1), kept.cumsum(0)])
        dropped = SparseBatch(
            items[kept],
            n_kept[offsets],
            scaled[kept] / (1 - DROPOUT),
            X.shape[1],
            users,
            len(users),
        )
        hidden, kl = _encode_and_decode(first(dropped), middle)
        return (output_nll(hidden, output, "multinomial", batch) + beta * kl).mean()

    model = nn.ModuleList([first, *middle, output])
    return _train(model, objective, X.shape[0], n_epochs, device, fused=True)


def dense_loop(X, n_epochs, device, after_epoch=None):
    """The same on dense batches, with torch's own layers and optimiser as they come.

    ``after_epoch(score)`` is called after each epoch; ``score(rows)`` scores all items.
    """
    first, middle, output = nn.Linear(X.shape[1], HIDDEN), _middle(), nn.Linear(HIDDEN, X.shape[1])

    def objective(users, beta):
        rows = torch.from_numpy(X[users.numpy()].toarray()).to(device)
        hidden, kl = _encode_and_decode(first(F.dropout(F.normalize(rows), DROPOUT)), middle)
        nll = -(F.log_softmax(output(hidden), dim=1) * rows).sum(dim=1)
        return (nll + beta * kl).mean()

    @torch.no_grad()
    def score(rows):
        hidden = first(F.normalize(torch.from_numpy(rows.toarray()).to(device)))
        mean, _ = middle[0](torch.tanh(hidden)).chunk(2, dim=1)
        return output(torch.tanh(middle[1](mean))).cpu().numpy()

    model = nn.ModuleList([first, *middle, output])
    watch = None if after_epoch is None else lambda: after_epoch(score)
    return _train(model, objective, X.shape[0], n_epochs, device, after_epoch=watch)


def _middle():
    return nn.Linear(HIDDEN, 2 * LATENT), nn.Linear(LATENT, HIDDEN)


def _encode_and_decode(hidden, middle):
    mean, log_var = middle[0](torch.tanh(hidden)).chunk(2, dim=1)
    code = mean + torch.randn_like(mean) * torch.exp(log_var / 2)
    kl = (log_var.exp() + mean**2 - 1 - log_var).sum(dim=1) / 2
    return torch.tanh(middle[1](code)), kl


def _train(model, objective, n_users, n_epochs, device, after_epoch=None, **options):
    for weight in model.parameters():
        nn.init.xavier_uniform_(weight) if weight.ndim == 2 else nn.init.zeros_(weight)
    model.to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, **options)
    ends, losses, n_updates = [], [], 0
    for _ in range(n_epochs):
        total = 0
        for users in torch.randperm(n_users).split(BATCH):
            with full_batch(len(users) == BATCH):  # as skrec's own training
                loss = objective(users, min(BETA, n_updates / ANNEALING))
                optimizer.zero_grad()
                loss.backward()
            optimizer.step()
            total += loss.detach() * len(users)
            n_updates += 1
        losses.append(float(total) / n_users)  # waits for the device
        ends.append(perf_counter())
        if after_epoch is not None:
            after_epoch()
    return ends, losses
