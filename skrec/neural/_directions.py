"""Vectors of which only the directions matter, and rows that are reconstructed from them."""

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from skrec.neural._layers import linear, weighted_sums


def direction_losses(embeddings, batch):
    r"""Squared distance of each row from its reconstruction, both scaled to unit length.

    The reconstruction of a unit row :math:`x` with the code :math:`z = xA` is :math:`y = zA^\top -
    x`, so :math:`\langle x, y \rangle = |z|^2 - 1` and :math:`|y|^2 = |Az|^2 - 2 |z|^2 + 1`: no
    row of all items is kept. :math:`|Az|^2` is computed as it stands for few rows, and by the
    matrix :math:`A^\top A` for many.

    Parameters
    ----------
    embeddings : tensor of shape (n_items, n_components)
        :math:`A`, unit rows.
    batch : SparseBatch
        Unit rows.

    Returns
    -------
    losses : tensor of shape (n_rows,)
        Between 0 and 4. They can be differentiated once.
    """
    codes = weighted_sums(embeddings, batch)
    squares = codes.square().sum(dim=1)
    # Products of all vectors, forward and backward: 3 for each row, or 2 for each component.
    if 3 * len(batch) < 2 * embeddings.shape[1]:
        spreads = (codes @ embeddings.t()).square().sum(dim=1)
    else:
        # The gradient of this matrix is symmetric, too: half of it goes to either factor.
        half = embeddings.detach().t() @ embeddings
        spreads = (codes @ (2 * half - half.detach()) * codes).sum(dim=1)
    # What is shorter than the rounding error has no direction.
    lengths = (spreads - 2 * squares + 1).clamp(min=torch.finfo(codes.dtype).eps).sqrt()
    return 2 - 2 * (squares - 1) / lengths


class Directions(nn.Module):
    """Vectors of the items, of any length, which reconstruct rows of users but for each entry.

    Parameters
    ----------
    n_items, n_components : int
    """

    def __init__(self, n_items, n_components):
        super().__init__()
        self.output = linear(n_components, n_items, bias=False)
        self.register_buffer("lengths", None, persistent=False)

    def measured(self):
        """Set the vectors' lengths, which all blocks of rows are scored with."""
        self.lengths = self._lengths().detach()
        return self

    def forward(self, batch, generator, progress):  # -> (n_rows,)
        lengths = self._lengths()
        embeddings = self.output.weight / lengths[:, None]
        # Not finite where a vector has outgrown its square, which would be 0 when divided.
        return direction_losses(embeddings, batch.normalized()) + 0 * lengths.detach().amax()

    def encode(self, batch):  # -> (n_rows, n_components)
        values = batch.values / self.lengths[batch.items]
        return weighted_sums(self.output.weight, replace(batch, values=values))

    def scores(self, batch):  # -> (n_rows, n_items)
        scores = self.output(self.encode(batch)).div_(self.lengths)
        scores.view(-1).index_add_(0, batch.flat, batch.values, alpha=-1)
        return scores

    def _lengths(self):
        return torch.linalg.vector_norm(self.output.weight, dim=1)


def row_lengths(vectors):
    """Lengths of the rows of an array, without another array of its size."""
    return np.sqrt(np.einsum("ij,ij->i", vectors, vectors))


def unit_rows(vectors):
    """Scale the rows of an array to unit length."""
    return vectors / row_lengths(vectors)[:, None]
