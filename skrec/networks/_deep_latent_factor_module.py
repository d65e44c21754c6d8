"""The networks of DeepLatentFactor: two encoders and what their codes make of each other."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from sklearn.utils import gen_batches
from torch import nn

from skrec.base._ratings import SMALLEST_NOISE
from skrec.neural._batches import map_rows
from skrec.neural._divergences import draw_gaussian, standard_normal_kl
from skrec.neural._entries import EntryStore
from skrec.neural._layers import SparseLinear, linear
from skrec.solvers._devices import to_tensor
from skrec.solvers._torch_state import torch_state

# Codes start this sure: with the prior's variance, their products would be all noise.
INITIAL_LOG_VARIANCE = -4.0
# Size of the first layers' values at the start.
INITIAL_SIZE = 0.1
# Pairs whose ratings are computed at a time: their hidden layers stay in the cache.
N_PAIRS = 2**13
# Ratings that the noise is estimated from, at most.
N_RESIDUALS = 2**16


def _layers(sizes):
    """Linear layers with rectified units between them."""
    layers = []
    for n_inputs, n_outputs in pairwise(sizes):
        layers += [nn.ReLU(), linear(n_inputs, n_outputs)]
    return layers


class RowEncoder(nn.Module):
    """Perceptron over sparse rows, with or without one entry of the row.

    Parameters
    ----------
    n_inputs : int
    hidden_layer_sizes : list of int
    n_outputs : int
    """

    def __init__(self, n_inputs, hidden_layer_sizes, n_outputs):
        super().__init__()
        sizes = [*hidden_layer_sizes, n_outputs]
        self.first = SparseLinear(n_inputs, sizes[0])
        self.register_buffer("scale", torch.ones(()))
        self.others = nn.Sequential(*_layers(sizes))

    def init_scale(self, X, generator):
        """Scale the inputs by one number and draw the first layer, for rows of any length.

        Of the row of a rating, the first layer gives values of a size of `INITIAL_SIZE`; and as
        the inputs are small, so is what a step of Adam changes in them.

        Parameters
        ----------
        X : csr_array of shape (n_rows, n_inputs)
        generator : torch.Generator
        """
        squares = X.power(2).sum(axis=1)
        mean = np.diff(X.indptr) @ squares / X.nnz  # over the ratings
        self.scale.fill_(1 / np.sqrt(mean) if mean > 0 else 1)
        nn.init.normal_(self.first.weight, std=INITIAL_SIZE, generator=generator)

    def forward(self, batch):  # -> (n_rows, n_outputs)
        return self.others(self._first(batch))

    def leave_one_out(self, rated):
        """Encode the row of each rating as if the rating were not there.

        The first layer is linear: it is computed once for each distinct row, and the rating's
        share is taken off.

        Parameters
        ----------
        rated : RatedRows

        Returns
        -------
        codes : tensor of shape (n_pairs, n_outputs)
        """
        columns = rated.batch.items[rated.entries]
        values = rated.batch.values[rated.entries] * self.scale
        share = values[:, None] * nn.functional.embedding(columns, self.first.weight)
        return self.others(nn.functional.embedding(rated.rows, self._first(rated.batch)) - share)

    def _first(self, batch):
        return self.first(replace(batch, values=batch.values * self.scale))


class DeepLatentFactorModule(nn.Module):
    """Encoders of users and of items, and the network over both codes.

    Parameters
    ----------
    n_items, n_users, n_components : int
    hidden_layer_sizes : list of int
        Hidden layers of each encoder.
    interaction : {"product", "scalar"}
    interaction_layer_sizes : list of int
        Hidden layers between the codes' product and the rating.
    variational : bool
    beta, dropout : float
    """

    def __init__(
        self,
        n_items,
        n_users,
        n_components,
        hidden_layer_sizes,
        *,
        interaction,
        interaction_layer_sizes,
        variational,
        beta,
        dropout,
    ):
        super().__init__()
        self.n_components = n_components
        self.interaction = interaction
        self.variational = variational
        self.beta = beta
        self.dropout = dropout
        n_outputs = 2 * n_components if variational else n_components
        self.user_encoder = RowEncoder(n_items, hidden_layer_sizes, n_outputs)
        self.item_encoder = RowEncoder(n_users, hidden_layer_sizes, n_outputs)
        n_inputs = n_components if interaction == "product" else 1
        first, *others = [*interaction_layer_sizes, 1]
        self.rating = nn.Sequential(linear(n_inputs, first), *_layers([first, *others]))

    def init_noise(self):
        """Let the codes' distributions start narrow."""
        if self.variational:
            for encoder in (self.user_encoder, self.item_encoder):
                nn.init.constant_(
                    encoder.others[-1].bias[self.n_components :], INITIAL_LOG_VARIANCE
                )

    def moments(self, outputs):
        """Means and log-variances of codes, None for the latter where they have none."""
        return outputs.chunk(2, dim=-1) if self.variational else (outputs, None)

    def rate(self, user_codes, item_codes):
        """Ratings of pairs from their codes; the leading axes broadcast."""
        product = user_codes * item_codes
        if self.interaction == "scalar":
            product = product.sum(dim=-1, keepdim=True)
        return self.rating(product).squeeze(-1)

    def forward(self, batch, generator, progress):  # -> (n_pairs,)
        outputs = [
            encoder.leave_one_out(rated.dropped_out(self.dropout, generator))
            for encoder, rated in (
                (self.user_encoder, batch.users),
                (self.item_encoder, batch.items),
            )
        ]
        if not self.variational:
            return (self.rate(*outputs) - batch.ratings) ** 2 / 2
        posteriors = [self.moments(output) for output in outputs]
        codes = [draw_gaussian(mean, log_var, generator) for mean, log_var in posteriors]
        kl = sum(standard_normal_kl(mean, log_var) for mean, log_var in posteriors)
        return (self.rate(*codes) - batch.ratings) ** 2 / 2 + self.beta * kl


def row_codes(encoder, X):
    """What an encoder makes of all rows, an array of shape (n_rows, n_outputs)."""
    weight = encoder.first.weight
    return map_rows(encoder, X, weight.device, row_bytes=16 * weight.shape[1])


def rate_pairs(module, user_outputs, item_outputs, users, items, draws=None):
    """Ratings of pairs, and how much they vary over draws of the codes.

    Parameters
    ----------
    module : DeepLatentFactorModule
    user_outputs, item_outputs : ndarray of shape (n_users, n_outputs) and (n_items, n_outputs)
        What the encoders give.
    users, items : ndarray of int of shape (n_pairs,)
    draws : ndarray of shape (n_samples, 2, n_components), default=None
        Standard normal.

    Returns
    -------
    ratings : ndarray of shape (n_pairs,)
        At the means of the codes.
    variance : ndarray of shape (n_pairs,)
        Only if `draws` are given.
    """
    device = module.rating[0].weight.device
    outputs = [to_tensor(codes, device) for codes in (user_outputs, item_outputs)]
    draws = None if draws is None else to_tensor(draws, device)
    ratings, variance = np.empty((2, len(users)), dtype=np.float32)
    with torch_state():
        for block in gen_batches(len(users), N_PAIRS):
            pair = [
                codes[to_tensor(rows[block].astype(np.int64), device)]
                for codes, rows in zip(outputs, (users, items), strict=True)
            ]
            ratings[block] = module.rate(*(module.moments(code)[0] for code in pair)).cpu().numpy()
            if draws is not None:
                variance[block] = _variance(module, pair, draws).cpu().numpy()
    return ratings if draws is None else (ratings, variance)


def _variance(module, pair, draws):
    """Variance of the ratings of pairs over draws of both codes."""
    posteriors = [module.moments(outputs) for outputs in pair]
    rated = [
        module.rate(
            *(
                mean + noise * torch.exp(log_var / 2)
                for (mean, log_var), noise in zip(posteriors, draw, strict=True)
            )
        )
        for draw in draws
    ]
    return torch.stack(rated).var(dim=0)


def noise_variance(module, X, draws):
    """What the variance of the codes leaves of the squared error of ratings.

    Each rating is predicted from codes that have not seen it.

    Parameters
    ----------
    module : DeepLatentFactorModule
    X : csr_array of shape (n_users, n_items)
    draws : ndarray of shape (n_samples, 2, n_components)

    Returns
    -------
    noise_variance : float
        Positive.
    """
    device = module.rating[0].weight.device
    draws = to_tensor(draws, device)
    order = np.random.default_rng(0).permutation(X.nnz)[:N_RESIDUALS]
    left = 0.0
    with torch_state():
        for batch in EntryStore(X, device).batches(N_PAIRS, order):
            pair = [
                module.user_encoder.leave_one_out(batch.users),
                module.item_encoder.leave_one_out(batch.items),
            ]
            error = module.rate(*(module.moments(code)[0] for code in pair)) - batch.ratings
            left += float((error**2 - _variance(module, pair, draws)).sum())
    return max(SMALLEST_NOISE, left / len(order))
