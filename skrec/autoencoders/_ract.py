"""RaCT: a critic that learns to foresee the ranking metric trains a variational autoencoder."""

from numbers import Integral, Real

import torch
from sklearn.utils.validation import check_is_fitted

from skrec.autoencoders._mult_vae import MultVAEModule
from skrec.autoencoders._ract_module import Critic, PhaseValidation, RaCTModule, RaCTTrainer
from skrec.base import BaseRecommender
from skrec.neural._estimator import (
    LAYER_CONSTRAINTS,
    TERM_WEIGHT,
    TRAINING_CONSTRAINTS,
    USER_BATCH_CONSTRAINTS,
    check_hidden_layer_sizes,
    complete_epochs,
)
from skrec.neural._layers import init_glorot
from skrec.neural._likelihood_autoencoder import LikelihoodAutoencoderMixin
from skrec.neural._weights import as_tensors
from skrec.solvers._torch_state import torch_state
from skrec.utils._compat import Interval


class RaCT(LikelihoodAutoencoderMixin, BaseRecommender):
    r"""Mult-VAE whose training ends under a critic of its rankings (RaCT).

    Mult-VAE maximises a likelihood, and is asked for rankings. Here that is the first of three
    phases. In the second, a network, the critic :math:`\omega`, learns to foresee how good a
    ranking is. A share of a row :math:`x` is dropped and the rest encoded. The critic is told how
    many entries :math:`m` were kept, how many :math:`n` dropped, and the negative log-likelihood
    :math:`\ell` of the whole row, and regresses NDCG@100 of the ranking of the entries dropped on
    them, by least squares. In the third, the actor, which is Mult-VAE, learns to maximise
    :math:`\omega(m, n, \ell)`, while the critic goes on learning. As the counts do not depend on
    the actor, its gradient is that of the likelihood, with a weight for each user and update:

    .. math::
        -\frac{\partial \omega(m, n, \ell)}{\partial \ell}
        \nabla \log p(x | z), \qquad z \sim q(z | x).

    Users count by how much of their NDCG there is to gain from a better likelihood. No divergence
    from a prior is left in the third phase.

    Parameters
    ----------
    beta : float, default=0.1
        Weight of the KL divergence in the first phase, at the end of the annealing.
    dropout : float, default=0.5
        Probability of dropping an entry from the encoder's input, above 0: the entries dropped
        are what the critic's rankings are measured by.
    learning_rate : float, default=0.001
        Step size of Adam in the first phase.
    critic_learning_rate : float, default=0.001
        Step size of Adam for the critic.
    actor_learning_rate : float, default=0.0001
        Step size of Adam for the actor in the third phase.
    n_actor_epochs : int, default=200
        Epochs at most of the first phase.
    n_critic_epochs : int, default=15
        Epochs of the second phase.
    max_iter : int, default=300
        Epochs at most of all phases: the third has those that the others leave.
    n_iter_no_change : int, default=20
        Epochs without a better score after which the first phase ends, and the third. None: never
        before their time. The second starts from the best weights of the first.

    Attributes
    ----------
    critic_loss_curve_ : list of float
        Mean squared error of the critic, by epoch of the second and third phase.
    loss_curve_ : list of float
        Training objective per user, by epoch: that of Mult-VAE, then the critic's squared error,
        and in the third phase that less the NDCG that the critic expects.

    See Also
    --------
    MultVAE : The actor alone.
    RecVAE : Another objective for the same likelihood.

    Notes
    -----
    Where early stopping does not end the first phase before, `max_iter` must exceed
    `n_actor_epochs` for there to be a critic, and the sum of both phases' for it to matter.

    The features of the critic are scaled to mean 0 and deviation 1 by statistics that are taken at
    the end of the first phase and then stay. Rows of which nothing was dropped teach neither.

    ``partial_fit`` trains the actor alone until a ``fit`` has trained the critic, and then
    both; so does a ``fit`` with ``warm_start=True``. Predictions need the actor only.

    The paper, for MovieLens 20M, trains for 100, 50 and 50 epochs, with learning rates of 0.001,
    0.0001 and 0.000002. With some thousand users an epoch has a fiftieth of the updates.

    References
    ----------
    .. [1] S. Lobel, C. Li, J. Gao and L. Carin, "RaCT: Toward Amortized Ranking-Critical Training
       for Collaborative Filtering", ICLR 2020. :arxiv:`1906.04281`

    Examples
    --------
    >>> import numpy as np
    >>> from skrec import RaCT
    >>> X = np.kron(np.eye(2), np.ones((40, 5)))
    >>> model = RaCT(8, hidden_layer_sizes=(16,), learning_rate=0.01, random_state=0).fit(X)
    >>> model.recommend([[0, 0, 0, 0, 0, 0, 1, 1, 1, 1]], k=1)
    array([[5]])
    """

    _module_class = RaCTModule
    _trainer_class = RaCTTrainer
    _validation_class = PhaseValidation

    _parameter_constraints: dict = {
        **TRAINING_CONSTRAINTS,
        **USER_BATCH_CONSTRAINTS,
        **LAYER_CONSTRAINTS,
        "beta": [TERM_WEIGHT],
        "n_annealing_updates": [Interval(Integral, 0, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="neither")],
        "critic_learning_rate": [Interval(Real, 0, None, closed="neither")],
        "actor_learning_rate": [Interval(Real, 0, None, closed="neither")],
        "n_actor_epochs": [Interval(Integral, 1, None, closed="left")],
        "n_critic_epochs": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        n_components=200,
        *,
        hidden_layer_sizes=(),
        beta=0.1,
        n_annealing_updates=1000,
        dropout=0.5,
        learning_rate=0.001,
        critic_learning_rate=0.001,
        actor_learning_rate=0.0001,
        batch_size="auto",
        n_actor_epochs=200,
        n_critic_epochs=15,
        max_iter=300,
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
        self.beta = beta
        self.n_annealing_updates = n_annealing_updates
        self.dropout = dropout
        self.learning_rate = learning_rate
        self.critic_learning_rate = critic_learning_rate
        self.actor_learning_rate = actor_learning_rate
        self.batch_size = batch_size
        self.n_actor_epochs = n_actor_epochs
        self.n_critic_epochs = n_critic_epochs
        self.max_iter = max_iter
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @property
    def actor_(self):
        """The network of Mult-VAE as it was fitted, in a new torch module."""
        check_is_fitted(self)
        options = {**self._options, "likelihood": "multinomial"}
        return self._part(lambda: MultVAEModule(self.n_features_in_, **options))

    @property
    def critic_(self):
        """The critic as it was fitted, in a new torch module.

        Its input has three columns: entries kept, entries dropped, and the negative log-likelihood
        of the whole row.
        """
        check_is_fitted(self)
        if not self._has_critic:
            raise AttributeError(
                "There is no critic yet: fit trains one after the actor, if max_iter leaves it "
                "epochs."
            )
        return self._part(Critic, "critic.")

    @property
    def _has_critic(self):
        return bool(self._weights["critic.scale"].all())

    @torch_state(training=True)
    def _part(self, make, prefix=""):
        module = make().to(torch.float32)
        weights = as_tensors(self._weights)
        module.load_state_dict({name: weights[prefix + name] for name in module.state_dict()})
        return module.eval()

    def _module_options(self, data):
        return {
            "n_components": self.n_components,
            "hidden_layer_sizes": check_hidden_layer_sizes(self.hidden_layer_sizes),
            "dropout": self.dropout,
            "beta": self.beta,
            "n_annealing_updates": self.n_annealing_updates,
        }

    def _init_module(self, module, data, generator):
        init_glorot(module, generator)

    def _trainer_options(self, data):
        return {
            **super()._trainer_options(data),
            "n_actor_epochs": self.n_actor_epochs,
            "n_critic_epochs": self.n_critic_epochs,
            "actor_learning_rate": self.actor_learning_rate,
            # The actor's comes first, as the only one of other models.
            "optimizer__param_groups": [
                ("[!c]*", {}),
                ("critic.*", {"lr": self.critic_learning_rate}),
            ],
        }

    def _take_over(self, trainer, validation, snapshot):
        super()._take_over(trainer, validation, snapshot)
        before = self.critic_loss_curve_ if trainer.start.n_epochs else []
        self.critic_loss_curve_ = before + [
            record["critic_loss"]
            for record in complete_epochs(trainer, validation)
            if "critic_loss" in record
        ]
