"""An autoencoder whose codes are drawn towards a normal distribution as a whole, after aWAE."""

from functools import partial
from numbers import Real

import torch
from torch import nn

from skrec.autoencoders._mult_dae import MultDAEModule
from skrec.base import BaseRecommender
from skrec.neural._divergences import inverse_multiquadratic_mmd, moment_kl
from skrec.neural._estimator import (
    LAYER_CONSTRAINTS,
    TERM_WEIGHT,
    TRAINING_CONSTRAINTS,
    USER_BATCH_CONSTRAINTS,
    check_hidden_layer_sizes,
)
from skrec.neural._layers import batch_linear, frozen, init_glorot
from skrec.neural._likelihood_autoencoder import LikelihoodAutoencoderMixin
from skrec.neural._likelihoods import bernoulli_nll_, multinomial_nll_, output_nll
from skrec.utils._compat import Interval, StrOptions

DISCRIMINATOR_WIDTH = 200


class AdversarialVAEModule(MultDAEModule):
    """Mult-DAE, whose codes before the tanh are compared with draws of the prior.

    Parameters
    ----------
    n_items, n_components, hidden_layer_sizes, likelihood, dropout
        Those of MultDAEModule.
    unobserved_weight : float
    divergence : {"mmd", "adversarial"}
    beta, kl_weight, l1 : float
    """

    def __init__(
        self,
        n_items,
        n_components,
        hidden_layer_sizes,
        *,
        likelihood,
        dropout,
        unobserved_weight,
        divergence,
        beta,
        kl_weight,
        l1,
    ):
        super().__init__(
            n_items, n_components, hidden_layer_sizes, likelihood=likelihood, dropout=dropout
        )
        self.beta = beta
        self.kl_weight = kl_weight
        self.l1 = l1
        self.nll_ = multinomial_nll_
        if likelihood == "bernoulli":
            self.nll_ = partial(bernoulli_nll_, unobserved_weight=unobserved_weight)
        self.discriminator = None
        if divergence == "adversarial":
            self.discriminator = nn.Sequential(
                batch_linear(n_components, DISCRIMINATOR_WIDTH),
                nn.ReLU(),
                batch_linear(DISCRIMINATOR_WIDTH, DISCRIMINATOR_WIDTH),
                nn.ReLU(),
                batch_linear(DISCRIMINATOR_WIDTH, 1),
            )

    def hidden(self, code):  # -> (n_rows, n_hidden)
        return self.decoder(torch.tanh(code))

    def forward(self, batch, generator, progress):  # -> (n_rows,)
        code = self._code(batch.normalized().dropped_out(self.dropout, generator))
        objective = output_nll(self.hidden(code), self.output, self.nll_, batch)
        objective = objective + self.l1 * code.abs().sum(dim=1)
        if self.kl_weight > 0:
            objective = objective + self.kl_weight * moment_kl(code)
        if self.beta == 0:
            return objective
        draws = torch.randn(code.shape, generator=generator, dtype=code.dtype, device=code.device)
        if self.discriminator is None:
            return objective + self.beta * inverse_multiquadratic_mmd(code, draws)
        # Each is taught by the other, as it is: log-odds of being a draw of the prior.
        to_deceive = nn.functional.softplus(-frozen(self.discriminator, code))
        to_tell = nn.functional.softplus(-self.discriminator(draws))
        to_tell = to_tell + nn.functional.softplus(self.discriminator(code.detach()))
        return objective + self.beta * to_deceive.squeeze(1) + to_tell.squeeze(1)

    def _code(self, batch):
        # Each layer ends in tanh: that of the last is the first step of `hidden`.
        layers = [nn.Tanh(), *self.encoder][:-1]
        return nn.Sequential(*layers)(self.first(batch))


class AdversarialVAE(LikelihoodAutoencoderMixin, BaseRecommender):
    r"""Autoencoder whose codes, of all users together, are drawn towards N(0, I), after aWAE.

    A user's row :math:`x`, scaled to unit length and with a share of its entries dropped, is
    encoded as a code :math:`z`, from which the whole row is to be recovered, as in Mult-DAE. But
    the codes of all users are to look like draws of :math:`N(0, I)`, which a Wasserstein
    autoencoder asks for, instead of each user's by itself, as in a variational one: codes need not
    overlap for that. Training minimises the mean over the users of a batch, with the codes
    :math:`Z` of the batch, of

    .. math::
        -\log p(x | z) + \beta\, D\big(Z, N(0, I)\big)
        + w \operatorname{KL}\big(N(\bar Z, s_Z^2) \,\|\, N(0, I)\big) + l_1 |z|_1.

    :math:`D` is either the squared maximum mean discrepancy, with inverse multiquadratic kernels,
    from as many draws of the prior, or a discriminator's success: a network that learns
    to tell codes from draws, while the encoder learns to deceive it, as in an adversarial
    autoencoder. The KL divergence compares the batch's mean and variance of each coordinate.

    Parameters
    ----------
    hidden_layer_sizes : array-like of int, default=()
        Widths of the layers between the row and the code; the decoder has the same in reverse.
    likelihood : {"multinomial", "bernoulli"}, default="multinomial"
        What the entries of a row are, the paper's two costs. "multinomial": counts. "bernoulli":
        all entries are zeros and ones.
    unobserved_weight : float, default=1.0
        Weight of the zeros of a row in the likelihood. Ignored unless ``likelihood="bernoulli"``.
    divergence : {"mmd", "adversarial"}, default="mmd"
        What the codes are drawn towards the prior by: the discrepancy, or a discriminator.
    beta : float, default=1.0
        Weight of the divergence. 0 leaves a denoising autoencoder.
    kl_weight : float, default=0.1
        Weight :math:`w` of the KL divergence of the batch's moments.
    l1 : float, default=0.001
        Penalty on the absolute values of a code.
    l2 : float, default=2e-5
        Penalty on the squared weights, biases excepted, in units of the mean objective of a user.

    See Also
    --------
    MultDAE : The same without a prior.
    MultVAE : The prior holds for each user's code.

    Notes
    -----
    This is after the paper, of which there is no code, and not a reimplementation: its two extra
    terms are named in the abstract, a loss between the distribution of the codes and that assumed
    for them, and an L1 penalty. The rest is decided here: the kernels (seven, with scales from
    0.1 to 10 around the mean squared distance of two draws of the prior), the moments for the
    distributions, tanh between the code and the decoder, Mult-DAE's layers.

    It is known as aWAE. A VAE it is not, as codes are not drawn; and adversarial, in the sense of
    [3]_, it is only with ``divergence="adversarial"``.

    Divergences are of a batch: larger batches estimate them better.

    References
    ----------
    .. [1] J. Zhong and X. Zhang, "Wasserstein Autoencoders for Collaborative Filtering", 2018.
       :arxiv:`1809.05662`
    .. [2] I. Tolstikhin, O. Bousquet, S. Gelly and B. Schölkopf, "Wasserstein Auto-Encoders", ICLR
       2018. :arxiv:`1711.01558`
    .. [3] A. Makhzani, J. Shlens, N. Jaitly, I. Goodfellow and B. Frey, "Adversarial
       Autoencoders", 2015. :arxiv:`1511.05644`

    Examples
    --------
    >>> import numpy as np
    >>> from skrec import AdversarialVAE
    >>> X = np.kron(np.eye(2), np.ones((30, 6)))
    >>> model = AdversarialVAE(8, learning_rate=0.01, random_state=0).fit(X)
    >>> model.recommend([[0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 1, 1]], k=1)
    array([[9]])
    """

    _module_class = AdversarialVAEModule

    _parameter_constraints: dict = {
        **TRAINING_CONSTRAINTS,
        **USER_BATCH_CONSTRAINTS,
        **LAYER_CONSTRAINTS,
        "likelihood": [StrOptions({"multinomial", "bernoulli"})],
        "unobserved_weight": [Interval(Real, 0, 1e30, closed="neither")],
        "divergence": [StrOptions({"mmd", "adversarial"})],
        "beta": [TERM_WEIGHT],
        "kl_weight": [TERM_WEIGHT],
        "l1": [TERM_WEIGHT],
        "l2": [TERM_WEIGHT],
    }

    def __init__(
        self,
        n_components=200,
        *,
        hidden_layer_sizes=(),
        likelihood="multinomial",
        unobserved_weight=1.0,
        divergence="mmd",
        beta=1.0,
        kl_weight=0.1,
        l1=0.001,
        l2=2e-5,
        dropout=0.5,
        learning_rate=0.001,
        batch_size="auto",
        max_iter=200,
        early_stopping=True,
        validation_fraction=0.1,
        n_iter_no_change=20,
        warm_start=False,
        callbacks=None,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.likelihood = likelihood
        self.unobserved_weight = unobserved_weight
        self.divergence = divergence
        self.beta = beta
        self.kl_weight = kl_weight
        self.l1 = l1
        self.l2 = l2
        self.dropout = dropout
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def _module_options(self, data):
        return {
            "n_components": self.n_components,
            "hidden_layer_sizes": check_hidden_layer_sizes(self.hidden_layer_sizes),
            "likelihood": self.likelihood,
            "dropout": self.dropout,
            "unobserved_weight": self.unobserved_weight,
            "divergence": self.divergence,
            "beta": self.beta,
            "kl_weight": self.kl_weight,
            "l1": self.l1,
        }

    def _init_module(self, module, data, generator):
        init_glorot(module, generator)

    def _trainer_options(self, data):
        # Adam adds weight_decay * W to the gradient; that of l2 * ||W||^2 is 2 * l2 * W.
        return {
            **super()._trainer_options(data),
            "optimizer__param_groups": [("*weight", {"weight_decay": 2 * self.l2})],
        }
