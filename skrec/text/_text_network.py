"""Networks that read texts: windows of words, the best of each document, and what follows."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from skrec.neural._layers import linear
from skrec.solvers._devices import to_tensor
from skrec.solvers._torch_state import torch_state
from skrec.text._window_kernels import best_windows

WINDOW = 3


class Documents:
    """Sets of texts.

    Parameters
    ----------
    line : tuple of (words, starts)
        All texts, as of :func:`~skrec.text._word_sequences.in_one_line`.
    members : csr_array of shape (n_documents, n_any), default=None
        Its entries are the numbers of the texts that a document has. None: one each.
    """

    def __init__(self, line, members=None):
        self.words, self.starts = line
        n_texts = len(self.starts) - 1
        self.doc_starts = np.arange(n_texts + 1) if members is None else members.indptr
        self.doc_texts = np.arange(n_texts) if members is None else members.data

    def __len__(self):
        return len(self.doc_starts) - 1


@dataclass(frozen=True)
class AskedDocuments:
    """Documents of some rows, each of them perhaps without one of its texts.

    Parameters
    ----------
    of : Documents
    numbers : ndarray of int64 of shape (n_rows,)
    left_out : ndarray of int64 of shape (n_rows,) or None
        Text that is not read.
    """

    of: Documents
    numbers: np.ndarray
    left_out: np.ndarray | None = None


class TextTower(nn.Module):
    """Filters of windows of three words, the largest answer to each in a document, and layers.

    Parameters
    ----------
    embedding_size, n_filters : int
    layer_sizes : sequence of int
        Widths of the layers behind the filters.
    activation : callable
        Of these layers.
    """

    def __init__(self, embedding_size, n_filters, layer_sizes, activation):
        super().__init__()
        self.filters = linear(embedding_size, WINDOW * n_filters, bias=False)
        self.biases = nn.Parameter(torch.zeros(n_filters))
        self.layers = nn.ModuleList(
            linear(*sizes) for sizes in pairwise([n_filters, *layer_sizes])
        )
        self.activation = activation

    def answers(self, embeddings, asked):
        """Largest answers of the filters, at least 0, a tensor of shape (n_rows, n_filters).

        Only windows that win are differentiated, which is the gradient of a maximum.
        """
        tables = self.filters(embeddings).unflatten(1, (WINDOW, -1)).transpose(0, 1)
        tables = torch.cat([tables.new_zeros(WINDOW, 1, tables.shape[2]), tables], dim=1)
        places = winning_places(tables, self.biases, asked)
        n_filters = tables.shape[2]
        words = np.stack([asked.of.words[places + shift] for shift in (-1, 0, 1)])
        flat = to_tensor(words.astype(np.int64) * n_filters + np.arange(n_filters), tables.device)
        found = tables.flatten(1).gather(1, flat.flatten(1)).sum(dim=0).view(places.shape)
        return torch.relu(found + self.biases) * to_tensor(places > 0, tables.device)

    def forward(self, embeddings, asked):  # -> (n_rows, layer_sizes[-1])
        hidden = self.answers(embeddings, asked)
        for layer in self.layers:
            hidden = self.activation(layer(hidden))
        return hidden


def winning_places(tables, biases, asked):
    """Where the windows stand that the filters answer most to, in ``asked.of.words``; else 0."""
    distinct, positions = np.unique(asked.numbers, return_inverse=True)
    documents = asked.of
    first, texts, second = best_windows(
        np.ascontiguousarray(tables.detach().cpu().numpy()),
        biases.detach().cpu().numpy(),
        documents.words,
        documents.starts,
        documents.doc_starts,
        documents.doc_texts,
        distinct,
    )
    if asked.left_out is None:
        return first[positions]
    is_left_out = texts[positions] == asked.left_out[:, None]
    return np.where(is_left_out, second[positions], first[positions])


class MachinePart(nn.Module):
    r"""Some inputs of a factorisation machine of order two.

    The machine's value is the sum of the parts' own, and of the inner products of the sums of
    each two parts: both together weight the product of inputs i and j by :math:`v_i \cdot v_j`.

    Parameters
    ----------
    n_inputs, n_components : int
    """

    def __init__(self, n_inputs, n_components):
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(n_inputs))
        self.vectors = nn.Parameter(torch.empty(n_inputs, n_components))

    def forward(self, x):
        """Sums of the vectors, a tensor of shape (n_rows, n_components), and the own value."""
        sums = x @ self.vectors
        squares = (x.square() @ self.vectors.square()).sum(dim=1)
        return sums, x @ self.weights + (sums.square().sum(dim=1) - squares) / 2


def machine_parts(part, codes):
    """What a part of a machine makes of codes, as arrays in the precision of its weights."""
    with torch_state():
        weights = part.weights
        found = part(to_tensor(codes, weights.device).to(weights.dtype))
        return tuple(value.cpu().numpy() for value in found)


class WordVectors(nn.Module):
    """Vectors of words, learned or given.

    Parameters
    ----------
    n_words, embedding_size : int
    learned : bool
    """

    def __init__(self, n_words, embedding_size, learned):
        super().__init__()
        self.learned = learned
        vectors = torch.empty(n_words, embedding_size)
        if learned:
            self.vectors = nn.Parameter(vectors)
        else:
            self.register_buffer("vectors", vectors)


@dataclass(frozen=True)
class ReviewedBatch:
    """Ratings, the documents of their users and items, and the reviews written with them.

    Parameters
    ----------
    users, items, own : AskedDocuments
    ratings : float32 tensor of shape (n_pairs,)
    n_total : int
        Ratings in the batch over all processes: what means are taken over.
    """

    users: AskedDocuments
    items: AskedDocuments
    own: AskedDocuments
    ratings: torch.Tensor
    n_total: int


class ReviewedStore(torch.utils.data.Dataset):
    """Ratings in batches, each with the documents of its user and item but for its own review.

    Parameters
    ----------
    data : ReviewedData
    device : torch.device
    """

    def __init__(self, data, device):
        self._users, self._items, self._own_reviews = data.users, data.items, data.own_reviews
        self._own = Documents((data.users.words, data.users.starts))
        self._rows = np.repeat(np.arange(data.shape[0]), np.diff(data.ratings.indptr))
        self._columns = data.ratings.indices
        self._ratings = to_tensor(data.ratings.data.astype(np.float32), device)

    def __len__(self):
        return len(self._rows)

    def batches(self, batch_size, order=None, process=0, n_processes=1):
        """Yield ratings in batches; the parameters are those of ``EntryStore``."""
        order = np.arange(len(self)) if order is None else order
        for start in range(0, len(order), batch_size):
            stop = min(start + batch_size, len(order))
            entries = order[start + process : stop : n_processes]
            yield ReviewedBatch(
                users=AskedDocuments(self._users, self._rows[entries], entries),
                items=AskedDocuments(
                    self._items, self._columns[entries], entries if self._own_reviews else None
                ),
                own=AskedDocuments(self._own, entries),
                ratings=self._ratings[to_tensor(entries, self._ratings.device)],
                n_total=stop - start,
            )
