"""Marginalised denoising autoencoders of features, tied to the weights of rows (mDA-CF).

Features x lose each entry with a probability, and W reconstructs them from what is left and from a
constant that stays. The expectation over all losses has a closed form in the second moments of the
features, so none is ever drawn. P predicts the reconstructed features from the weights of a row,
and so the features say where the weights are to be.
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.linalg import cho_factor, cho_solve

# Penalty on the squares of W, which only makes its equations regular.
RIDGE = 1e-5
# Penalty on the squares of P, in units of the tie's weight. The paper has none: a factor that is
# all but 0, and so costs nothing, then tells the features by a huge P, and ties no rating to them.
TIE_PENALTY = 1.0


class FeaturePrior(NamedTuple):
    """What fitted autoencoders say of the weights of rows that have features.

    Parameters
    ----------
    layers : tuple of ndarray of shape (n_outputs, n_inputs + 1)
        Reconstruction weights, the last column those of the constant. All but the last are
        followed by tanh.
    tie : ndarray of shape (n_outputs, n_weights + 1)
        P, with such a column.
    weight : float
        Weight of the squared differences between both.
    """

    layers: tuple
    tie: np.ndarray
    weight: float

    def axes(self):
        """Orthonormal axes in which the prior's precision is diagonal, and this diagonal."""
        P = self.tie[:, :-1]
        precisions, axes = np.linalg.eigh(self.weight * P.T @ P)
        return axes, np.maximum(precisions, 0)

    def moments(self, features):
        """Precision times mean of the weights of each row, as its features have them."""
        *lower, last = self.layers
        for layer in lower:
            features = np.tanh(outputs(features, layer))
        differences = outputs(features, last) - self.tie[:, -1]
        return self.weight * (differences @ self.tie[:, :-1])

    def of_inputs(self, units):
        """The same for features that have not been divided by these units, one for each."""
        first, *others = self.layers
        return self._replace(layers=(first / np.append(units, 1.0), *others))


def column_units(features):
    """What features are divided by: the root mean square of each, where that is above 1.

    Parameters
    ----------
    features : {csr_array, ndarray} of shape (n_rows, n_features)

    Returns
    -------
    units : ndarray of shape (n_features,)
    """
    largest = abs(features).max(axis=0)
    largest = largest.toarray().ravel() if sparse.issparse(features) else largest
    largest = np.maximum(largest, 1.0)  # divided out before, as squares may overflow
    shares = features / largest
    squares = shares.multiply(shares) if sparse.issparse(shares) else shares**2
    return np.maximum(largest * np.sqrt(squares.mean(axis=0)), 1.0)


def outputs(features, layer):
    """What a layer makes of a {csr_array, ndarray} of shape (n_rows, n_inputs)."""
    return features @ layer[:, :-1].T + layer[:, -1]


def products_with_constant(left, right):
    """Inner products of the columns of two matrices, each with a column of ones behind them."""
    products = np.empty((left.shape[1] + 1, right.shape[1] + 1))
    inner = left.T @ right
    products[:-1, :-1] = inner.toarray() if sparse.issparse(inner) else inner
    products[:-1, -1] = left.sum(axis=0)
    products[-1, :-1] = right.sum(axis=0)
    products[-1, -1] = left.shape[0]
    return products


def corrupted_moments(moments, dropout):
    """Expected second moments of features of which each is dropped with a probability.

    Parameters
    ----------
    moments : ndarray of shape (n_inputs + 1, n_inputs + 1)
        Those of the full features and the constant, which is never dropped.
    dropout : float

    Returns
    -------
    between : ndarray of shape (n_inputs, n_inputs + 1)
        Of the full features with what is left of them.
    among : ndarray of shape (n_inputs + 1, n_inputs + 1)
        Of what is left with itself.
    """
    kept = np.append(np.full(len(moments) - 1, 1 - dropout), 1)
    between = moments * kept
    among = between * kept[:, None]
    np.fill_diagonal(among, between.diagonal())
    return between[:-1], among


def denoising_weights(moments, dropout):
    """W of the autoencoder alone, an array of shape (n_inputs, n_inputs + 1)."""
    between, among = corrupted_moments(moments, dropout)
    return _solve(_factorize(among), between)


def _factorize(matrix, penalty=RIDGE):
    return cho_factor(matrix + penalty * np.eye(len(matrix)))


def _solve(factor, right):
    return cho_solve(factor, right.T).T


class TiedAutoencoder:
    r"""The part of the objective that features have, and its minima over W and over P.

    .. math::
        \omega\, E \|X - W \tilde X\|^2 + \lambda \|P U^\top - W X\|^2
        + \lambda \|P\|^2 + \varepsilon \|W\|^2

    with rows of ones below each X and U. Layers below the one that is tied are autoencoders of
    their own, and stay as they are.

    Parameters
    ----------
    features : {csr_array, ndarray} of shape (n_rows, n_features)
    weight : float
        :math:`\lambda`.
    n_weights : int
        Length of the rows of U.
    n_layers : int
    dropout : float
    reconstruction_weight : float
        :math:`\omega`.
    """

    def __init__(self, features, weight, n_weights, n_layers, dropout, reconstruction_weight):
        self._lower, self._inputs = (), features
        self._moments = products_with_constant(features, features)
        for _ in range(n_layers - 1):
            self._lower += (denoising_weights(self._moments, dropout),)
            self._inputs = np.tanh(outputs(self._inputs, self._lower[-1]))
            self._moments = products_with_constant(self._inputs, self._inputs)
        self._weights = weight, reconstruction_weight
        self._between, self._among = corrupted_moments(self._moments, dropout)
        self._hessian = _factorize(reconstruction_weight * self._among + weight * self._moments)
        self._W = denoising_weights(self._moments, dropout)
        self._P = np.zeros((len(self._W), n_weights + 1))

    def improve(self, table):
        """Take the best P for the weights of all rows, then the best W."""
        weight, reconstruction_weight = self._weights
        crossed, squares = self._products(table)
        self._P = _solve(_factorize(squares, TIE_PENALTY), self._W @ crossed.T)
        right = reconstruction_weight * self._between + weight * self._P @ crossed
        self._W = _solve(self._hessian, right)

    def loss(self, table):
        """The objective for the weights of all rows."""
        weight, reconstruction_weight = self._weights
        crossed, squares = self._products(table)
        W, P = self._W, self._P
        reconstruction = self._moments[:-1, :-1].trace()
        reconstruction += ((W @ self._among - 2 * self._between) * W).sum()
        tie = ((P @ squares - 2 * W @ crossed.T) * P).sum() + ((W @ self._moments) * W).sum()
        tie += TIE_PENALTY * np.square(P).sum()
        penalty = RIDGE * np.square(W).sum()
        return reconstruction_weight * reconstruction + weight * tie + penalty

    def prior(self):
        """What is left of it after training."""
        return FeaturePrior((*self._lower, self._W), self._P, self._weights[0])

    def moments(self):
        """Those of the prior, of the rows trained on."""
        return self.prior()._replace(layers=(self._W,)).moments(self._inputs)

    def _products(self, table):
        """Those of the weights with the inputs, and with each other."""
        table = table.astype(np.float64, copy=False)
        crossed = products_with_constant(table, self._inputs)
        return crossed, products_with_constant(table, table)
