"""VAE-BMF in training: encoders on blocks of users and items, and the embeddings they read."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from skrec.networks._cross_feedback import Encoder
from skrec.networks._row_sums import LeftOut
from skrec.neural._batches import RowStore, SparseBatch
from skrec.neural._divergences import draw_gaussian, standard_normal_kl
from skrec.neural._observed import observed_products, observed_squared_errors
from skrec.neural._trainer import Trainer
from skrec.solvers._devices import to_tensor
from skrec.solvers._gaussian_products import expected_squared_errors

# Deviation of the embeddings that encoders read in the first sweep.
INITIAL_DEVIATION = 0.1
# Rows that are encoded at a time where no gradient is needed.
N_ENCODED_ROWS = 1024
# A sweep has this many batches of users and of items, or more where they would be too large.
N_BATCHES = 4
LARGEST_BATCH = 2000


class VAEBMFModule(nn.Module):
    """Encoders of users and of items, and the embeddings that they read in this sweep.

    Parameters
    ----------
    n_items, n_users, n_components : int
    hidden_layer_sizes, joint_layer_sizes : list of int
    beta_user, beta_item : float
        Weights of the divergences.
    learn_noise : bool
        Whether the variance of the ratings is a weight; otherwise it is 1.
    sampled : bool
        Whether squared errors are those of embeddings drawn at random, or expectations.
    leave_one_out : bool
        Whether each rating is predicted from what its user and its item are encoded to without it.
    **encoder_options
        Of both encoders.
    """

    def __init__(
        self,
        n_items,
        n_users,
        n_components,
        hidden_layer_sizes,
        joint_layer_sizes,
        *,
        beta_user,
        beta_item,
        learn_noise,
        sampled,
        leave_one_out,
        **encoder_options,
    ):
        super().__init__()
        sizes = n_components, hidden_layer_sizes, joint_layer_sizes
        self.user_encoder = Encoder(n_items, *sizes, **encoder_options)
        self.item_encoder = Encoder(n_users, *sizes, **encoder_options)
        self.register_buffer("user_embeddings", torch.empty(n_users, n_components))
        self.register_buffer("item_embeddings", torch.empty(n_items, n_components))
        self.log_noise = nn.Parameter(torch.empty(())) if learn_noise else None
        # As measured on ratings held out; 0 where there are none.
        self.register_buffer("noise_variance", torch.zeros(()))
        self.beta_user = beta_user
        self.beta_item = beta_item
        self.sampled = sampled
        self.leave_one_out = leave_one_out

    def init(self, n_entries, generator):
        """Draw the weights, and the embeddings of the first sweep."""
        n_users, n_items = len(self.user_embeddings), len(self.item_embeddings)
        self.user_encoder.init(n_entries / n_users, generator)
        self.item_encoder.init(n_entries / n_items, generator)
        for embeddings in (self.user_embeddings, self.item_embeddings):
            nn.init.normal_(embeddings, std=INITIAL_DEVIATION, generator=generator)
        if self.log_noise is not None:
            nn.init.zeros_(self.log_noise)

    def forward(self, block, generator, progress):  # -> ()
        sides = (
            (self.user_encoder, block.users, self.item_embeddings),
            (self.item_encoder, block.items, self.user_embeddings),
        )
        left_out = block.left_out() if self.leave_one_out else (None, None)
        posteriors = [
            encoder(batch, embeddings, dropout_scale=block.dropout_scale, left_out=one)
            for (encoder, batch, embeddings), one in zip(sides, left_out, strict=True)
        ]
        if self.leave_one_out:
            (users, users_without), (items, items_without) = posteriors
            values = block.ratings.values
            errors = self._pair_errors(values, users_without, items_without, generator)
        else:
            users, items = posteriors
            errors = self._errors(block.ratings, users, items, generator)
        nll = errors.sum() / 2
        if self.log_noise is not None:
            nll = nll * torch.exp(-self.log_noise) + len(errors) * self.log_noise / 2
        return (
            nll
            + self.beta_user * block.user_share * standard_normal_kl(*users).sum()
            + self.beta_item * block.item_share * standard_normal_kl(*items).sum()
        )

    def _errors(self, ratings, users, items, generator):
        if not self.sampled:
            return observed_squared_errors(ratings, _with_variances(users), _with_variances(items))
        drawn = [draw_gaussian(*posterior, generator) for posterior in (users, items)]
        return (ratings.values - observed_products(*drawn, ratings)) ** 2

    def _pair_errors(self, values, users, items, generator):
        if not self.sampled:
            return expected_squared_errors(values, _with_variances(users), _with_variances(items))
        z, v = (draw_gaussian(*posterior, generator) for posterior in (users, items))
        return (values - (z * v).sum(dim=1)) ** 2

    def encode_users(self, store, item_embeddings):
        """Posterior of every user, given the items' embeddings."""
        return _encode(self.user_encoder, store.by_user, item_embeddings)

    def encode_items(self, store, user_embeddings):
        """Posterior of every item, given the users' embeddings."""
        return _encode(self.item_encoder, store.by_item, user_embeddings)

    def final_items(self, store):
        """Posterior of every item given the users' means: what predictions are made from."""
        user_means, _ = self.encode_users(store, self.item_embeddings)
        return self.encode_items(store, user_means)

    def resample(self, store, generator):
        """Draw the embeddings that encoders read in the next sweep."""
        users = self.encode_users(store, self.item_embeddings)
        items = self.encode_items(store, self.user_embeddings)
        self.user_embeddings.copy_(draw_gaussian(*users, generator))
        self.item_embeddings.copy_(draw_gaussian(*items, generator))


def _with_variances(posterior):
    mean, log_var = posterior
    return mean, log_var.exp()


@torch.no_grad()
def _encode(encoder, rows, embeddings):
    table = encoder.latent_table(embeddings)
    posteriors = [encoder(batch, embeddings, table) for batch in rows.batches(N_ENCODED_ROWS)]
    return tuple(torch.cat(parts) for parts in zip(*posteriors, strict=True))


@dataclass(frozen=True)
class Block:
    """What one update is computed from.

    Parameters
    ----------
    users, items : SparseBatch
        Ratings by the users and of the items of the block, whoever and whatever else they join.
    ratings : SparseBatch
        Those of the users for the items, numbered as in `users` and `items`.
    user_share, item_share : float
        Share of the divergence of a user, or an item, that is counted in this block: over all
        blocks they add up to 1.
    dropout_scale : float, default=1.0
        Entries of a row for each one that dropout has left in `users` and `items`.
    is_kept : bool tensor of shape (n_ratings,), default=None
        Which of `ratings` dropout has left in `users` and `items`. None means all.
    """

    users: SparseBatch
    items: SparseBatch
    ratings: SparseBatch
    user_share: float
    item_share: float
    dropout_scale: float = 1.0
    is_kept: torch.Tensor | None = None

    @property
    def n_total(self):
        return len(self.ratings.values)

    def left_out(self):
        """Each rating as what is left out of its user's row, and of its item's."""
        values, is_kept = self.ratings.values, self.is_kept
        if is_kept is None:
            is_kept = torch.ones_like(values, dtype=torch.bool)
        rows, columns = self.ratings.rows, self.ratings.items
        return (
            LeftOut(rows, self.items.users[columns], values, is_kept),
            LeftOut(columns, self.users.users[rows], values, is_kept),
        )


class RatingStore(torch.utils.data.Dataset):
    """Ratings on the device, by user and by item.

    Parameters
    ----------
    X : csr_array of shape (n_users, n_items)
    device : torch.device
    """

    def __init__(self, X, device):
        self.by_user = RowStore(X, device)
        self.by_item = RowStore(X.T.tocsr(), device)
        # Position in X of each entry of its transpose.
        self.by_item_order = to_tensor(np.argsort(X.indices, kind="stable"), device)
        self.n_entries = X.nnz

    def __len__(self):
        return len(self.by_user)


class NestedBlocks:
    """All ratings once: users and items in random batches, each with each.

    Parameters
    ----------
    store : RatingStore
    user_batch_size, item_batch_size : int or "auto"
        Largest number of users and of items in a block.
    dropout : float
        Probability of dropping a rating from what is encoded, on both sides at once. Ratings are
        drawn anew with each batch of users.
    rng : numpy.random.Generator
        Puts users and items together.
    generator : torch.Generator
        Draws what is dropped.
    """

    def __init__(self, store, user_batch_size, item_batch_size, dropout, rng, generator):
        self.store = store
        self.batch_sizes = user_batch_size, item_batch_size
        self.dropout = dropout
        self.rng = rng
        self.generator = generator

    def __iter__(self):
        by_user, by_item = self.store.by_user, self.store.by_item
        user_batches = random_batches(len(by_user), self.batch_sizes[0], self.rng)
        item_batches = random_batches(len(by_item), self.batch_sizes[1], self.rng)
        items = [by_item.cut(batch) for batch in item_batches]
        batch_of, position_of = (
            to_tensor(numbers, by_item.device) for numbers in _numbers(item_batches)
        )
        # A block without ratings makes no update: what it would count, its neighbours count.
        is_met = np.array(
            [
                torch.bincount(batch_of[by_user.cut(batch).items], minlength=len(items)).tolist()
                for batch in user_batches
            ],
            dtype=bool,
        )
        is_kept = self._draw_kept(self.store.n_entries)
        for meets, batch in zip(is_met, user_batches, strict=True):
            users = by_user.cut(batch)
            batches = batch_of[users.items]
            if self.dropout > 0:
                is_kept[users.entries] = self._draw_kept(len(users.entries))
            for number in np.flatnonzero(meets):
                ratings = users.select(batches == number)
                block = Block(
                    self._encoded(users, users.entries, is_kept),
                    self._encoded(
                        items[number], self.store.by_item_order[items[number].entries], is_kept
                    ),
                    replace(ratings, items=position_of[ratings.items], n_items=len(items[number])),
                    user_share=1 / meets.sum(),
                    item_share=1 / is_met[:, number].sum(),
                    dropout_scale=1 / (1 - self.dropout),
                    is_kept=is_kept[ratings.entries] if self.dropout > 0 else None,
                )
                yield block, None

    def _draw_kept(self, n):
        device = self.generator.device
        like = {"dtype": torch.float32, "device": device}
        return torch.rand(n, generator=self.generator, **like) >= self.dropout

    def _encoded(self, batch, entries, is_kept):
        return batch.select(is_kept[entries]) if self.dropout > 0 else batch


def random_batches(n, batch_size, rng):
    """Cut the numbers below n into random batches of nearly equal size."""
    if batch_size == "auto":
        batch_size = min(max(1, -(-n // N_BATCHES)), LARGEST_BATCH)
    batches = np.array_split(rng.permutation(n), -(-n // batch_size))
    return [np.sort(batch) for batch in batches]


def _numbers(batches):
    """Batch of each member, and its position in the batch."""
    members = np.concatenate(batches)
    lengths = [len(batch) for batch in batches]
    numbers, positions = np.empty((2, len(members)), dtype=np.int64)
    numbers[members] = np.repeat(np.arange(len(batches)), lengths)
    positions[members] = np.concatenate([np.arange(length) for length in lengths])
    return numbers, positions


class NestedTrainer(Trainer):
    """Minimises the objective of a block over its ratings, block by block.

    Parameters
    ----------
    module : VAEBMFModule
    user_batch_size, item_batch_size : int or "auto"
    dropout : float
    learning_rate_decay : float
        Factor of the learning rate after each sweep.
    **kwargs
        Parameters of Trainer.
    """

    def __init__(
        self,
        module,
        *,
        user_batch_size,
        item_batch_size,
        dropout,
        learning_rate_decay,
        **kwargs,
    ):
        if kwargs["placement"].n_processes > 1:
            raise ValueError(
                "VAEBMF trains in one process, because embeddings are drawn once for all blocks: "
                f"WORLD_SIZE must be 1, got {kwargs['placement'].n_processes}."
            )
        super().__init__(module, **kwargs)
        self.user_batch_size = user_batch_size
        self.item_batch_size = item_batch_size
        self.dropout = dropout
        self.learning_rate_decay = learning_rate_decay

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        """Begin with the learning rate that earlier sweeps have left."""
        super().on_train_begin(net, X=X, y=y, **kwargs)
        for group in self.optimizer_.param_groups:
            group["lr"] *= self.learning_rate_decay**self.start.n_epochs

    def get_iterator(self, dataset, training=False):
        """Put users and items together anew at each sweep."""
        sizes = self.user_batch_size, self.item_batch_size
        return NestedBlocks(dataset, *sizes, self.dropout, self.rng, self.generator)

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Make one sweep, then draw the embeddings of the next one."""
        super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)
        if iterator is not None:
            self.module.resample(iterator.store, self.generator)
            for group in self.optimizer_.param_groups:
                group["lr"] *= self.learning_rate_decay
