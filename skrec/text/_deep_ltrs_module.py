"""The networks of DeepLTRS: two encoders, a product of latents, and a topic model of words."""

from copy import deepcopy
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from skrec.neural._batches import RowStore
from skrec.neural._divergences import LOG_2PI, draw_gaussian, standard_normal_kl
from skrec.neural._layers import SparseLinear, linear
from skrec.neural._likelihoods import output_nll
from skrec.neural._observed import observed_squared_errors
from skrec.neural._trainer import Trainer
from skrec.solvers._devices import to_tensor
from skrec.solvers._torch_state import torch_state
from skrec.utils._blocks import row_blocks

OTHER = {"user": "item", "item": "user"}
# Where variances start with offsets: at 1 the noise of a product of 50 would drown the ratings,
# and training would end where both codes are switched off.
INITIAL_LOG_VARIANCE = -4.0
INITIAL_COMPONENT_WEIGHT = 0.1
# What is held at the peak for each word of a pair: two arrays of single precision.
LOGIT_BYTES = 8


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation; fewer than two rows, which have no variance, take the running one.

    The layer before it has no bias: normalisation takes it off again, so that its gradient would
    be nothing but rounding errors, which Adam scales up to steps like all others.
    """

    def forward(self, x):
        if self.training and len(x) < 2:
            return nn.functional.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(x)

    def folded(self, layer, x):
        """Make one linear layer of a linear layer and this normalisation of its outputs.

        Mean and variance of the outputs come from those of the inputs: exactly, without going
        through the outputs, nor need all of those be there at once.

        Parameters
        ----------
        layer : torch.nn.Linear
            Without a bias.
        x : tensor of shape (n_rows, n_inputs)
            All rows that are normalised by each other.

        Returns
        -------
        folded : LinearWeights
        """
        dtype = layer.weight.dtype
        weight, x = (part.to(widest_float(x.device)) for part in (layer.weight, x))
        mean, var = self.running_mean, self.running_var
        if self.training and len(x) > 1:
            mean_x = x.mean(dim=0)
            covariance = (x - mean_x).t() @ (x - mean_x) / len(x)
            mean = weight @ mean_x
            var = (weight @ covariance * weight).sum(dim=1)
            with torch.no_grad():
                self.num_batches_tracked += 1
                self.running_mean.lerp_(mean.to(dtype), self.momentum)
                self.running_var.lerp_((var * len(x) / (len(x) - 1)).to(dtype), self.momentum)
        scale = (var + self.eps).rsqrt()
        weight, bias = weight * scale[:, None], -mean * scale
        return LinearWeights(weight.to(dtype), bias.to(dtype))


class LinearWeights(NamedTuple):
    """Weight and bias of a linear layer, made of others that are learned."""

    weight: torch.Tensor
    bias: torch.Tensor


def dropped_out(x, probability, generator):
    """Drop elements at random, by a private generator."""
    if generator is None or probability == 0:
        return x
    draws = torch.rand(x.shape, generator=generator, dtype=x.dtype, device=x.device)
    return x * (draws >= probability) / (1 - probability)


class PosteriorEncoder(nn.Module):
    """Mean and log variance of a row's latents, from its ratings and words.

    Parameters
    ----------
    n_inputs, n_components : int
    hidden_layer_sizes : sequence of int
    dropout : float
        Of the last hidden layer.
    """

    def __init__(self, n_inputs, hidden_layer_sizes, n_components, *, dropout):
        super().__init__()
        self.dropout = dropout
        self.first = SparseLinear(n_inputs, hidden_layer_sizes[0])
        self.others = nn.ModuleList(linear(*sizes) for sizes in pairwise(hidden_layer_sizes))
        self.mean = linear(hidden_layer_sizes[-1], n_components, bias=False)
        self.log_var = linear(hidden_layer_sizes[-1], n_components, bias=False)
        self.mean_norm = BatchNorm(n_components)
        self.log_var_norm = BatchNorm(n_components)

    def forward(self, batch, generator=None):  # -> 2 x (n_rows, n_components)
        hidden = nn.functional.softplus(self.first(batch))
        for layer in self.others:
            hidden = nn.functional.softplus(layer(hidden))
        hidden = dropped_out(hidden, self.dropout, generator)
        mean = self.mean_norm(self.mean(hidden))
        log_var = self.log_var_norm(self.log_var(hidden))
        # Of a row without any entry nothing is known beyond the prior.
        is_known = (batch.offsets.diff() > 0)[:, None]
        return mean * is_known, log_var * is_known


class WordDecoder(nn.Module):
    """Logits of the words of a review, given the latents of its user and item.

    Parameters
    ----------
    n_words, n_components, n_topics, n_hidden : int
    dropout : float
        Of the topics' shares.
    offsets : bool
        Whether words have offsets: else normalisation makes all equally frequent on average.
    """

    def __init__(self, n_words, n_components, n_topics, n_hidden, *, dropout, offsets):
        super().__init__()
        self.dropout = dropout
        self.users = linear(n_components, n_hidden)
        self.items = linear(n_components, n_hidden)
        self.topics = linear(n_hidden, n_topics)
        self.words = linear(n_topics, n_words, bias=False)
        self.norm = BatchNorm(n_words, affine=False)
        self.offsets = nn.Parameter(torch.zeros(n_words)) if offsets else None

    def shares(self, users, items, pairs, generator=None):  # -> (n_pairs, n_topics)
        """Shares of the topics for pairs of numbers of rows of `users` and of `items`.

        The first layer is linear in [user; item], so it is computed once for each of both.
        """
        of_user, of_item = pairs
        # index_select, for the gradient of indexing adds in an order that threads decide.
        of_user = self.users(users).index_select(0, of_user)
        of_item = self.items(items).index_select(0, of_item)
        hidden = torch.relu(of_user + of_item)
        return dropped_out(torch.softmax(self.topics(hidden), dim=1), self.dropout, generator)

    def logits(self, shares):  # -> (n_pairs, n_words)
        logits = self.norm(self.words(shares))
        return logits if self.offsets is None else logits + self.offsets

    def forward(self, users, items, pairs):
        return self.logits(self.shares(users, items, pairs))

    def nll(self, shares, words):  # -> (n_pairs,)
        """Negative log-likelihood of the words of each pair, in blocks if memory asks for it.

        Normalisation and offsets are folded into the layer before them, so that an array of
        pairs x words is gone through for the likelihood alone.
        """
        layer = self.norm.folded(self.words, shares)
        if self.offsets is not None:
            layer = layer._replace(bias=layer.bias + self.offsets)
        row_bytes = LOGIT_BYTES * self.words.out_features
        blocks = row_blocks(len(shares), row_bytes, max_rows=len(shares))
        if len(blocks) <= 1:
            return output_nll(shares, layer, "multinomial", words)
        parts = shares.split(blocks[0].stop)
        options = {"use_reentrant": False, "preserve_rng_state": False}
        return torch.cat(
            [
                checkpoint(output_nll, part, layer, "multinomial", words.block(block), **options)
                for part, block in zip(parts, blocks, strict=True)
            ]
        )


class DeepLTRSModule(nn.Module):
    """Encoders of users and of items, and decoders of ratings and of words.

    Parameters
    ----------
    n_items, n_users, n_words, n_components, n_topics : int
        ``n_words=0``: there are no texts.
    hidden_layer_sizes : sequence of int
        Of both encoders.
    topic_hidden_size : int
        Width of the layer between latents and topics.
    dropout : float
    offsets : bool
        Whether components have weights in the ratings, and words offsets.
    text_weight : float
    """

    def __init__(
        self,
        n_items,
        *,
        n_users,
        n_words,
        n_components,
        n_topics,
        hidden_layer_sizes,
        topic_hidden_size,
        dropout,
        offsets,
        text_weight,
    ):
        super().__init__()
        self.n_rows = {"user": n_users, "item": n_items}
        self.n_components = n_components
        self.has_offsets = offsets
        self.text_weight = text_weight
        self.encoders = nn.ModuleDict(
            {
                side: PosteriorEncoder(
                    self.n_rows[other] + n_words,
                    hidden_layer_sizes,
                    n_components,
                    dropout=dropout,
                )
                for side, other in OTHER.items()
            }
        )
        self.log_noise = nn.Parameter(torch.zeros(()))
        if offsets:
            self.component_weights = nn.Parameter(torch.ones(n_components))
        else:
            self.register_buffer("component_weights", torch.ones(n_components))
        self.register_buffer("shrinkage", torch.ones(()))
        self.word_decoder = None
        if n_words:
            self.word_decoder = WordDecoder(
                n_words,
                n_components,
                n_topics,
                topic_hidden_size,
                dropout=dropout,
                offsets=offsets,
            )
        self.posteriors = {}  # side: 2 x (n_rows, n_components), as they were last encoded

    def start_posteriors(self, generator):
        """Begin with noise, from which the first phase learns."""
        like = {"dtype": self.log_noise.dtype, "device": self.log_noise.device}
        for side, n_rows in self.n_rows.items():
            shape = n_rows, self.n_components
            mean, log_var = torch.randn(2, *shape, generator=generator, **like)
            if self.has_offsets:
                log_var = torch.full_like(log_var, INITIAL_LOG_VARIANCE)
            self.posteriors[side] = mean, log_var

    @torch.no_grad()
    def remember(self, side, inputs, batch_size):
        """Encode all rows of a side, in evaluation mode, and keep what comes out."""
        encoder = self.encoders[side]
        encoder.eval()
        parts = [encoder(batch) for batch in inputs.batches(batch_size)]
        self.posteriors[side] = tuple(torch.cat(part) for part in zip(*parts, strict=True))
        encoder.train()

    def kl(self, side):
        """Divergence of the posteriors of a side as they are remembered, summed over its rows."""
        return standard_normal_kl(*self.posteriors[side]).sum()

    def forward(self, batch, generator, progress):  # -> (n_rows,)
        """Negative lower bound of each row, less the divergences of the other side."""
        mean, log_var = self.encoders[batch.side](batch.inputs, generator)
        other = [part[batch.others] for part in self.posteriors[OTHER[batch.side]]]
        squared_error = observed_squared_errors(
            batch.ratings,
            (mean, log_var.exp()),
            (other[0], other[1].exp()),
            self.component_weights,
        )
        nll = (squared_error * torch.exp(-self.log_noise) + self.log_noise + LOG_2PI) / 2
        if batch.words is not None:
            own, others = draw_gaussian(mean, log_var, generator), draw_gaussian(*other, generator)
            pairs = batch.ratings.rows, batch.ratings.items
            if batch.side == "item":
                own, others, pairs = others, own, pairs[::-1]
            shares = self.word_decoder.shares(own, others, pairs, generator)
            nll = nll + self.text_weight * self.word_decoder.nll(shares, batch.words)
        return (batch.ratings.sum_rows(nll) + standard_normal_kl(mean, log_var)) * batch.scale


class DeepLTRSTrainer(Trainer):
    """Alternates passes over users and passes over items."""

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        """Give the first pass, and the first score, something to go by."""
        super().on_train_begin(net, X=X, y=y, **kwargs)
        if self.start.n_epochs:
            self._remember(X.users)
            self._remember(X.items)
        else:
            self.module.start_posteriors(self.generator)

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Make both passes; after each, encode its side anew for the other one."""
        if iterator is None:
            return
        store, module = iterator.store, self.module
        for side in (store.users, store.items):
            batches = self.get_iterator(side, training)
            super().run_single_epoch(batches, training, prefix, step_fn, **fit_params)
            self._remember(side)
        # The last pass has all terms but the divergences of the users.
        loss = self.history[-1, f"{prefix}_loss"] + float(module.kl("user")) / store.n_pairs
        self.history.record(f"{prefix}_loss", loss)

    def _remember(self, side):
        self.module.remember(side.side, side.inputs, 8 * self.batch_size)


def probable_words(decoder, users, items, n_words):
    """Numbers of the most probable words of a review by each user about each item.

    Parameters
    ----------
    decoder : WordDecoder
    users, items : ndarray of shape (n_users or n_items, n_components)
    n_words : int

    Returns
    -------
    words : ndarray of int of shape (n_users, n_items, n_words)
        Most probable first.
    """
    device = decoder.words.weight.device
    of_items = to_tensor(items.astype(np.float32), device)
    words = np.empty((len(users), len(items), n_words), dtype=np.int64)
    for block in row_blocks(len(users), 12 * len(items) * decoder.words.out_features):
        of_users = to_tensor(users[block].astype(np.float32), device)
        pairs = torch.cartesian_prod(
            torch.arange(len(of_users), device=device), torch.arange(len(items), device=device)
        ).T
        with torch_state():
            best = decoder(of_users, of_items, pairs).topk(n_words, dim=1).indices
        words[block] = best.cpu().numpy().reshape(-1, len(items), n_words)
    return words


def topic_words(decoder):
    """Probabilities of the words in a review of one topic, a row for each topic."""
    with torch_state():
        weight = decoder.words.weight
        n_topics = decoder.topics.out_features
        pure = torch.eye(n_topics, dtype=weight.dtype, device=weight.device)
        return torch.softmax(decoder.logits(pure), dim=1).cpu().numpy()


def widest_float(device):
    """The most precise type that a device has."""
    return torch.float32 if device.type == "mps" else torch.float64


def in_double(encoder):
    """A copy of an encoder to encode rows with: in single the last digits depend on the batch."""
    return deepcopy(encoder).eval().to(widest_float(encoder.mean.weight.device))


def row_posteriors(encoder, rows):
    """Means and log variances of all rows: two arrays of shape (n_rows, n_components)."""
    weight = encoder.mean.weight
    parts = []
    with torch_state():
        for block in row_blocks(rows.shape[0], 64 * encoder.mean.in_features):
            batch = RowStore(rows[block], weight.device).cut()
            batch = replace(batch, values=batch.values.to(weight.dtype))
            parts.append([part.cpu().numpy() for part in encoder(batch)])
    return [np.concatenate(part) for part in zip(*parts, strict=True)]
