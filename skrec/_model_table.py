"""One row for each public model: what the tests, the command line and the lists of models need.

Nothing here imports a model before it is asked for. ``python -m skrec._model_table`` writes the
rows into the exports (``.pyi``), the docs and the README of a source checkout.
"""

import ast
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

PACKAGE = Path(__file__).parent


@dataclass(frozen=True)
class ModelRow:
    """What stands in the table about one model.

    Parameters
    ----------
    name : str
        The class.
    module : str
        Where it stands in the package: room and file.
    line : str
        What it is, for the lists of models.
    reads : {"choices", "ratings", "reviews"}
        The data that it is made for; reviews come with ratings.
    floor : float
        Quality on MovieLens latest-small that it must exceed: the NDCG@100 of unseen users as a
        multiple of Popularity's, or BiasBaseline's RMSE on held-out ratings as a multiple of the
        model's. The two are compared with a random order, and with the mean rating.
    fast : dict
        Parameters that reach the floor in a few seconds, where the defaults take longer.
    beats : tuple of str
        Models that it is better than there, as published comparisons have it.
    small : dict
        Parameters of an instance that is fitted in a moment and recovers a withheld block.
    variants : dict of str to dict
        By a short name, what other instances change of ``small``.
    search : dict
        The grid that is tried where the model is tuned without further advice.
    calibration : bool
        Whether it is a row to compare with, rather than a model to use.
    expected_failures : dict of str to str
        Checks that it may fail, each with the reason, beside scikit-learn's two.
    """

    name: str
    module: str
    line: str
    reads: str
    floor: float
    fast: dict = field(default_factory=dict)
    beats: tuple = ()
    small: dict = field(default_factory=dict)
    variants: dict = field(default_factory=dict)
    search: dict = field(default_factory=dict)
    calibration: bool = False
    expected_failures: dict = field(default_factory=dict)

    @property
    def room(self):
        return self.module.split(".")[0]

    def load(self):
        """Import the class."""
        return getattr(import_module(f"skrec.{self.room}"), self.name)

    def instance(self, variant=None, **changes):
        """Make a small instance, or the variant of that name, with these further changes."""
        changes = {**(self.variants[variant] if variant else {}), **changes}
        return self.load()(**{**self.small, **changes})


# Neural models are made small, and train for long enough to recover a withheld block.
_NEURAL = {
    "n_components": 8,
    "learning_rate": 0.01,
    "max_iter": 40,
    "early_stopping": False,
    "random_state": 0,
}

_FAST_RANKER = {"learning_rate": 0.003, "batch_size": 100, "early_stopping": False}

_FAST_FOCAL = {"learning_rate": 0.003, "batch_size": 50, "max_iter": 12, "early_stopping": False}

_OFFSETS_WITHOUT_TEXTS = {
    "check_withheld_block_is_recovered": "without texts ratings are their offsets",
    "check_permutations_keep_what_is_learned": "without texts ratings are their offsets",
    "check_new_items_find_their_users": "nobody has written what a user is known by",
}

_ROWS = [
    ModelRow(
        "EASE",
        "linear._ease",
        "linear item-item model in closed form, with EDLAE, RLAE and item features as options",
        "choices",
        floor=1.68,
        beats=("RP3beta", "MultVAE"),
        variants={
            "primal": {"l2": 2.0, "method": "primal"},
            "dual": {"l2": 2.0, "method": "dual"},
            "dropout": {"l2": 2.0, "dropout": 0.3, "method": "dual", "dtype": "float64"},
            "relaxed": {"l2": 2.0, "relaxation": 0.4, "user_power": 0.5, "dtype": "float64"},
            "float32": {"l2": 20.0, "dtype": "float32"},
        },
        search={
            "l2": [100, 200, 500],
            "dropout": [0, 0.4],
            "relaxation": [0, 0.4],
            "user_power": [0, 0.4],
        },
    ),
    ModelRow(
        "SLIM",
        "linear._slim",
        "sparse linear item-item model: an elastic net for each item, non-negative by default",
        "choices",
        floor=1.75,
        small={"l1": 0.5, "l2": 20.0, "tol": 1e-14},
        variants={
            "signed": {"positive": False, "n_neighbors": 6},
            "admm": {"solver": "admm", "user_power": 0.0, "tol": 1e-9},
        },
        search={"l1": [0.3, 0.5, 1, 2], "l2": [50, 100, 150, 200, 300]},
    ),
    ModelRow(
        "GraphFilter",
        "linear._graph_filter",
        "graph filters in closed form: SGFCF, GF-CF, Turbo-CF",
        "choices",
        floor=1.71,
        beats=("EASE",),
        small={"n_components": 4},
        variants={
            "GF": {"filter": "gf-cf", "n_neighbors": 3, "spectral_power": 0.0},
            "Turbo": {
                "n_components": 0,
                "filter": "gf-cf",
                "user_power": 0.6,
                "item_power": 0.4,
                "n_neighbors": None,
                "linear_power": 1.2,
                "order": 2,
            },
        },
        search={
            "n_components": [50, 100, 150],
            "item_power": [0.25, 0.3, 0.35],
            "spectral_power": [0.4, 0.6],
        },
    ),
    ModelRow(
        "SANSA",
        "linear._sansa",
        "EASE by a sparse approximate inverse, for catalogues of any size",
        "choices",
        floor=1.665,
        small={"l2": 2.0, "density": 1.0},
        variants={"sparse": {"density": 0.5}},
        search={"l2": [50, 100, 200, 500, 1000]},
    ),
    ModelRow(
        "RP3beta",
        "neighbors._rp3beta",
        "random walks of three steps between items and users; `beta=0` is P3alpha",
        "choices",
        floor=1.59,
        variants={"P3": {"n_neighbors": 4, "alpha": 1.0, "beta": 0.0}},
        search={"n_neighbors": [50, 100, 200], "alpha": [0.6, 1.0, 1.4], "beta": [0.3, 0.6]},
    ),
    ModelRow(
        "ItemKNN",
        "neighbors._item_knn",
        "nearest items by cosine, Jaccard or conditional probability, with tf-idf or BM25",
        "choices",
        floor=1.63,
        variants={
            "conditional": {"similarity": "conditional", "shrinkage": 2.0, "weighting": None},
            "jaccard": {"n_neighbors": 12, "similarity": "jaccard", "weighting": "bm25"},
        },
        search={
            "n_neighbors": [50, 100, 200],
            "similarity": ["cosine", "asymmetric", "jaccard"],
            "weighting": ["tf-idf", "bm25"],
        },
    ),
    ModelRow(
        "UserKNN",
        "neighbors._user_knn",
        "nearest training users of a row, known or new, by the same similarities",
        "choices",
        floor=1.525,
        variants={
            "conditional": {"similarity": "conditional", "shrinkage": 2.0, "weighting": None},
            "jaccard": {"n_neighbors": 12, "similarity": "jaccard", "weighting": "bm25"},
        },
        search={
            "n_neighbors": [20, 50, 100],
            "similarity": ["cosine", "asymmetric", "jaccard"],
        },
    ),
    ModelRow(
        "RatingKNN",
        "neighbors._rating_knn",
        "ratings from the nearest items or users: KNNBasic, WithMeans, WithZScore and Baseline",
        "ratings",
        floor=1.034,
        variants={
            "user": {"based_on": "user", "similarity": "cosine", "center": "zscore"},
            "msd": {"similarity": "msd", "center": "mean", "n_neighbors": 5, "min_neighbors": 2},
            "pearson": {
                "based_on": "user",
                "similarity": "pearson",
                "center": "none",
                "min_support": 2,
                "shrinkage": 1.0,
            },
        },
        search={
            "based_on": ["item", "user"],
            "n_neighbors": [20, 40, 80],
            "shrinkage": [100, 400],
        },
    ),
    ModelRow(
        "MultVAE",
        "autoencoders._mult_vae",
        "variational autoencoder with a multinomial (or Bernoulli, or Gaussian) likelihood",
        "choices",
        floor=1.63,
        fast={"learning_rate": 0.003, "max_iter": 30, "early_stopping": False},
        small={**_NEURAL, "hidden_layer_sizes": (16,)},
        variants={
            "batches": {
                "hidden_layer_sizes": (16, 12),
                "batch_size": 7,
                "early_stopping": True,
            },
            "bernoulli": {"hidden_layer_sizes": (), "likelihood": "bernoulli"},
            "gaussian": {"likelihood": "gaussian", "max_iter": 200},
        },
        search={"beta": [0.03, 0.1, 0.3], "dropout": [0.3, 0.5, 0.7]},
    ),
    ModelRow(
        "MultDAE",
        "autoencoders._mult_dae",
        "denoising autoencoder with a multinomial (or Bernoulli, or Gaussian) likelihood",
        "choices",
        floor=1.62,
        fast={**_FAST_RANKER, "max_iter": 40},
        small=_NEURAL,
        variants={
            "layers": {"hidden_layer_sizes": (12,)},
            "gaussian": {"likelihood": "gaussian", "max_iter": 200},
        },
        search={"l2": [0.0, 0.01, 0.1], "dropout": [0.3, 0.5, 0.7]},
    ),
    ModelRow(
        "CDAE",
        "autoencoders._cdae",
        "denoising autoencoder that tells a user's items from drawn ones",
        "choices",
        floor=1.53,
        fast={"learning_rate": 0.01, "max_iter": 20, "early_stopping": False},
        small={**_NEURAL, "batch_size": 50},
        variants={
            "squares": {
                "activation": "identity",
                "tied": True,
                "loss": "squared_error",
                "n_negatives": 2,
                "dropout": 0.0,
                "user_power": 0.0,
            },
        },
        search={"n_negatives": [5, 20], "dropout": [0.3, 0.5, 0.7]},
    ),
    ModelRow(
        "NBVAE",
        "autoencoders._nbvae",
        "variational autoencoder with a negative binomial likelihood, of counts or of ones",
        "choices",
        floor=1.59,
        fast={"learning_rate": 0.003, "max_iter": 30, "early_stopping": False},
        small={**_NEURAL, "hidden_layer_sizes": (16,)},
        variants={
            "counts": {"hidden_layer_sizes": (), "likelihood": "negative_binomial"},
        },
        search={"beta": [0.05, 0.1, 0.2], "dropout": [0.3, 0.5, 0.7]},
    ),
    ModelRow(
        "RecVAE",
        "autoencoders._rec_vae",
        "variational autoencoder with a deep encoder, composite prior, alternating training",
        "choices",
        floor=1.5,
        fast={
            **_FAST_RANKER,
            "hidden_layer_sizes": (300, 300),
            "learning_rate": 0.001,
            "max_iter": 15,
        },
        small={**_NEURAL, "hidden_layer_sizes": (16, 16)},
        variants={"beta": {"hidden_layer_sizes": (16,), "beta": 0.1}},
        search={"gamma": [0.002, 0.005, 0.01], "dropout": [0.3, 0.5, 0.7]},
    ),
    ModelRow(
        "RaCT",
        "autoencoders._ract",
        "Mult-VAE trained under a critic that foresees NDCG: ranking-critical training",
        "choices",
        floor=1.62,
        fast={
            "learning_rate": 0.005,
            "early_stopping": False,
            "n_actor_epochs": 25,
            "n_critic_epochs": 4,
            "max_iter": 40,
        },
        small={
            **_NEURAL,
            "hidden_layer_sizes": (16,),
            "n_actor_epochs": 20,
            "n_critic_epochs": 4,
        },
        variants={
            "critic": {
                "hidden_layer_sizes": (),
                "n_actor_epochs": 1,
                "n_critic_epochs": 1,
                "actor_learning_rate": 0.01,
                "batch_size": 7,
                "early_stopping": True,
            }
        },
        search={"actor_learning_rate": [0.0001, 0.0003, 0.001], "dropout": [0.3, 0.5, 0.7]},
    ),
    ModelRow(
        "AdversarialVAE",
        "autoencoders._adversarial_vae",
        "denoising autoencoder with codes drawn towards a normal distribution: after aWAE",
        "choices",
        floor=1.615,
        fast={**_FAST_RANKER, "max_iter": 40},
        small=_NEURAL,
        variants={
            "adversarial": {"divergence": "adversarial", "hidden_layer_sizes": (12,)},
            "bernoulli": {"likelihood": "bernoulli", "unobserved_weight": 0.5},
        },
        search={"beta": [0.0, 1.0, 10.0], "dropout": [0.3, 0.5, 0.7]},
    ),
    ModelRow(
        "EnhancedVAE",
        "autoencoders._enhanced_vae",
        "variational autoencoder with a VampPrior; two levels and gates (H+Vamp) as options",
        "choices",
        floor=1.59,
        fast={**_FAST_RANKER, "batch_size": 50, "max_iter": 30},
        small={
            **_NEURAL,
            "hidden_layer_sizes": (16,),
            "hierarchical": True,
            "n_pseudo_inputs": 5,
            "gated": True,
        },
        variants={
            "normal": {
                "hidden_layer_sizes": (16, 12),
                "likelihood": "bernoulli",
                "prior": "normal",
            },
            "flat": {"hierarchical": False, "gated": False},
            "linear": {"hidden_layer_sizes": (), "hierarchical": False, "gated": False},
        },
        search={"beta": [0.03, 0.1, 0.3], "dropout": [0.3, 0.5, 0.7]},
    ),
    ModelRow(
        "VAEAC",
        "autoencoders._vaeac",
        "variational autoencoder that is trained to find hidden items, as it is asked to",
        "choices",
        floor=1.61,
        fast={**_FAST_RANKER, "batch_size": 50, "max_iter": 25},
        small=_NEURAL,
        variants={
            "layers": {
                "hidden_layer_sizes": (16, 12),
                "dropout": 0.3,
                "batch_size": 7,
                "early_stopping": True,
            },
        },
        search={"beta": [0.1, 0.2, 0.5], "dropout": [0.2, 0.5, 0.7]},
    ),
    ModelRow(
        "NeuralEASE",
        "autoencoders._neural_ease",
        "item weights as EASE's, trained to find hidden items by a focal loss",
        "choices",
        floor=1.62,
        fast={"learning_rate": 0.02, "batch_size": 50, "max_iter": 15, "early_stopping": False},
        small={
            "learning_rate": 0.05,
            "max_iter": 40,
            "early_stopping": False,
            "random_state": 0,
        },
        variants={
            "squared": {"loss": "squared", "l2": 0.01, "dropout": 0.0, "early_stopping": True}
        },
        search={"dropout": [0.3, 0.5], "alpha": [0.25, 0.5], "gamma": [1, 2, 3]},
    ),
    ModelRow(
        "FLVAE",
        "autoencoders._flvae",
        "deep variational autoencoder, trained to find hidden items by a focal loss",
        "choices",
        floor=1.375,
        fast=_FAST_FOCAL,
        small={**_NEURAL, "hidden_layer_sizes": (16,), "decoder_layer_sizes": (16,)},
        variants={
            "deep": {
                "hidden_layer_sizes": (16, 16),
                "decoder_layer_sizes": (12, 12),
                "batch_size": 7,
                "early_stopping": True,
            },
        },
        search={"beta": [0.005, 0.02, 0.1], "dropout": [0.3, 0.5], "alpha": [0.25, 0.5]},
    ),
    ModelRow(
        "VASP",
        "autoencoders._vasp",
        "FLVAE times item weights as NeuralEASE's",
        "choices",
        floor=1.41,
        fast=_FAST_FOCAL,
        small={**_NEURAL, "hidden_layer_sizes": (16,), "decoder_layer_sizes": (16,)},
        search={"beta": [0.005, 0.02, 0.1], "dropout": [0.3, 0.5], "alpha": [0.25, 0.5]},
    ),
    ModelRow(
        "ELSA",
        "autoencoders._elsa",
        "linear autoencoder of low rank, weights as EASE's for catalogues of any size",
        "choices",
        floor=1.57,
        fast={"max_iter": 12, "early_stopping": False},
        small={**_NEURAL, "learning_rate": 0.03, "batch_size": 50},
        variants={"few": {"batch_size": 4, "max_iter": 20}},
        search={"n_components": [128, 256, 512]},
    ),
    ModelRow(
        "IALS",
        "factorization._ials",
        "weighted matrix factorisation of choices by alternating least squares (WMF)",
        "choices",
        floor=1.64,
        beats=("RP3beta",),
        small={"n_components": 4, "l2": 0.05, "random_state": 0},
        variants={
            "cholesky": {"solver": "cholesky", "l2_exponent": 0.5, "dtype": "float64"},
            "subspace": {"solver": "subspace", "confidence": "linear", "early_stopping": True},
        },
        search={
            "n_components": [64, 128, 256],
            "unobserved_weight": [0.1, 0.2, 0.4],
            "l2": [0.004, 0.0075, 0.015],
        },
    ),
    ModelRow(
        "HPF",
        "factorization._hpf",
        "hierarchical Poisson factorisation of counts, by factors that are not negative",
        "choices",
        floor=1.32,
        small={"n_components": 4, "random_state": 0},
        variants={"prior": {"shape": 1.0, "rate_shape": 2.0, "rate_mean": 0.5}},
        search={"n_components": [30, 50, 100], "shape": [0.1, 0.3, 1.0]},
    ),
    ModelRow(
        "PMF",
        "factorization._pmf",
        "matrix factorisation of ratings with standard deviations, by alternating least squares",
        "ratings",
        floor=1.036,
        small={"n_components": 4, "l2": 0.3, "random_state": 0},
        variants={
            "plain": {"n_components": 3, "l2": 0.1, "l2_exponent": 0, "fit_offsets": False},
            "logistic": {
                "n_components": 3,
                "l2": 0.1,
                "link": "logistic",
                "rating_scale": (0, 6),
            },
        },
        search={"n_components": [8, 16, 32], "l2": [0.5, 1.1, 2.0]},
    ),
    ModelRow(
        "SVDpp",
        "factorization._svdpp",
        "SVD++: matrix factorisation of ratings that reads which items are rated, too",
        "ratings",
        floor=1.045,
        beats=("PMF",),
        small={"n_components": 4, "l2": 0.3, "l2_implicit": 3.0, "random_state": 0},
        variants={"many": {"n_components": 40, "l2_exponent": 0}},
        search={"n_components": [8, 16, 32], "l2": [0.8, 1.2, 2.0], "l2_implicit": [30, 80, 200]},
    ),
    ModelRow(
        "SparseCovariancePMF",
        "factorization._sparse_covariance_pmf",
        "matrix factorisation of ratings with standard deviations and sparse prior covariances",
        "ratings",
        floor=1.034,
        small={"n_components": 4, "random_state": 0},
        variants={"plain": {"n_components": 3, "fit_offsets": False, "l1": 0}},
        search={"n_components": [8, 16, 32], "l1": [0.0, 0.05, 0.5]},
    ),
    ModelRow(
        "BPR",
        "factorization._bpr",
        "matrix factorisation by pairs: each choice before what was not chosen; or WARP",
        "choices",
        floor=1.605,
        fast={"learning_rate": 0.01, "max_iter": 12, "early_stopping": False},
        small={**_NEURAL, "learning_rate": 0.03, "batch_size": 20, "dropout": 0.2},
        variants={
            "WARP": {"loss": "warp"},
            "popular": {
                "n_negatives": 1,
                "negative_power": 0.5,
                "user_power": 0.0,
                "dropout": 0.0,
                "user_l2": 0.01,
                "item_l2": 0.01,
                "negative_l2": 0.01,
                "early_stopping": True,
            },
        },
        search={
            "loss": ["bpr", "warp"],
            "n_components": [32, 64, 128],
            "dropout": [0.3, 0.5, 0.7],
        },
    ),
    ModelRow(
        "BayesianPMF",
        "factorization._bayesian_pmf",
        "matrix factorisation of ratings with standard deviations, by Gibbs sampling",
        "ratings",
        floor=1.035,
        fast={"n_components": 4, "n_samples": 60},
        small={"n_components": 4, "n_samples": 10, "n_burn_in": 5, "random_state": 0},
        variants={"plain": {"n_components": 3, "fit_offsets": False, "noise_precision": 2}},
        search={"n_components": [8, 16, 32]},
    ),
    ModelRow(
        "MDACF",
        "factorization._mdacf",
        "matrix factorisation with denoising autoencoders of features of users and items",
        "ratings",
        floor=1.036,
        fast={"l2": 1.1},  # without features, which the tests of all models do not have
        small={"n_components": 4, "l2": 0.3, "random_state": 0},
        variants={"plain": {"n_components": 3, "l2": 0.1, "l2_exponent": 0, "fit_offsets": False}},
        search={
            "n_components": [8, 16, 32],
            "l2": [0.5, 0.7, 1.1],
            "item_feature_weight": [10, 25, 100],
        },
    ),
    ModelRow(
        "RobustPMF",
        "factorization._robust_pmf",
        "matrix factorisation of ratings with noise of its own for each user and item",
        "ratings",
        floor=1.0608,
        beats=("PMF",),
        small={"n_components": 4, "max_iter": 20, "random_state": 0},
        variants={
            "ratings": {"user_dof": None, "item_dof": None, "rating_dof": 4},
        },
        search={"n_components": [8, 16, 32]},
    ),
    ModelRow(
        "AutoRec",
        "autoencoders._auto_rec",
        "autoencoder of items' or users' ratings",
        "ratings",
        floor=1.054,
        fast={
            "n_components": 100,
            "learning_rate": 0.002,
            "max_iter": 25,
            "early_stopping": False,
        },
        beats=("PMF",),
        small={**_NEURAL, "l2": 1.0},
        variants={
            "user": {"based_on": "user"},
            "uncentred": {"center": False, "early_stopping": True},
        },
        search={"l2": [1.0, 10.0, 100.0]},
    ),
    ModelRow(
        "DeepLatentFactor",
        "networks._deep_latent_factor",
        "both sides encoded without the rating that is predicted, variational or not",
        "ratings",
        floor=1.035,
        fast={
            "hidden_layer_sizes": (64,),
            "learning_rate": 0.005,
            "max_iter": 4,
            "early_stopping": False,
        },
        small={**_NEURAL, "hidden_layer_sizes": (16,)},
        variants={
            "variational": {"variational": True},
            "scalar": {"interaction": "scalar", "max_iter": 200},
        },
        search={"n_components": [16, 32, 64]},
    ),
    ModelRow(
        "LightGCN",
        "networks._light_gcn",
        "vectors of items, averaged over the graph of users and items",
        "choices",
        floor=1.57,
        fast={"max_iter": 28, "early_stopping": False},
        small={**_NEURAL, "learning_rate": 0.1, "batch_size": 20},
        variants={
            "BPR": {"loss": "bpr", "n_layers": 2, "l2": 1e-4},
            "ratings": {"loss": "squared_error"},
        },
        search={"n_components": [32, 64, 128], "n_layers": [1, 2, 3]},
    ),
    ModelRow(
        "NGCF",
        "networks._ngcf",
        "vectors of items, passed on over the graph of users and items through networks",
        "choices",
        floor=1.29,
        fast={"max_iter": 25, "early_stopping": False},
        small={**_NEURAL, "learning_rate": 0.03, "batch_size": 20},
        variants={
            "BPR": {"loss": "bpr", "n_layers": 3, "l2": 1e-4},
            "ratings": {"loss": "squared_error"},
        },
        search={"n_components": [32, 64, 128], "n_layers": [1, 2, 3]},
    ),
    ModelRow(
        "VAEBMF",
        "networks._vae_bmf",
        "Bayesian matrix factorisation by two encoders that read each other's embeddings",
        "ratings",
        floor=1.019,
        fast={
            "n_components": 10,
            "hidden_layer_sizes": (50,),
            "learning_rate": 0.008,
            "learning_rate_decay": 0.7,
            "max_iter": 5,
            "early_stopping": False,
        },
        small={
            **_NEURAL,
            "n_components": 4,
            "hidden_layer_sizes": (8,),
            "learning_rate_decay": 1.0,
        },
        variants={
            "attentive": {
                "hidden_layer_sizes": (8, 6),
                "joint_layer_sizes": (6,),
                "attention": "all",
                "learn_noise": True,
                "user_batch_size": 17,
                "item_batch_size": 7,
                "early_stopping": True,
            },
            "sampled": {
                "latent_input": "mean",
                "attention": "rated",
                "sampled": True,
                "normalize": False,
                "center": False,
                "dropout": 0.0,
                "max_iter": 100,
            },
        },
        search={"n_components": [8, 16, 32]},
    ),
    ModelRow(
        "NeuMF",
        "networks._neu_mf",
        "products of vectors and a perceptron over them, of rankings or ratings (GMF, MLP)",
        "choices",
        floor=1.46,
        fast={"learning_rate": 0.01, "max_iter": 10, "early_stopping": False},
        small={
            **_NEURAL,
            "hidden_layer_sizes": (16, 8),
            "learning_rate": 0.03,
            "batch_size": 20,
            "dropout": 0.2,
        },
        variants={
            "GMF": {"parts": "gmf", "loss": "bpr", "n_negatives": 2, "early_stopping": True},
            "MLP": {"parts": "mlp", "learning_rate": 0.01},
            "ratings": {"loss": "squared_error", "dropout": 0.0, "l2": 0.1},
        },
        search={"n_components": [32, 64, 128], "dropout": [0.1, 0.3, 0.5]},
    ),
    ModelRow(
        "ConvNCF",
        "networks._conv_ncf",
        "convolutions over the outer product of two vectors, of rankings or ratings",
        "choices",
        floor=1.31,
        fast={"learning_rate": 0.01, "max_iter": 8, "early_stopping": False},
        small={
            **_NEURAL,
            "n_channels": 4,
            "learning_rate": 0.03,
            "batch_size": 20,
            "dropout": 0.2,
        },
        variants={
            "negatives": {"loss": "cross_entropy", "n_negatives": 3, "early_stopping": True},
            "ratings": {"loss": "squared_error", "dropout": 0.0, "l2": 0.1},
        },
        search={"n_components": [8, 16, 32], "n_channels": [4, 8, 16], "dropout": [0.1, 0.3]},
    ),
    ModelRow(
        "DeepLTRS",
        "text._deep_ltrs",
        "ratings and review texts from the same latents; topics, words of unwritten reviews",
        "reviews",
        floor=1.014,
        fast={
            "learning_rate": 0.004,
            "batch_size": 32,
            "max_iter": 6,
            "early_stopping": False,
        },
        small={**_NEURAL, "hidden_layer_sizes": (16,)},
        variants={
            "plain": {"offsets": False, "hidden_layer_sizes": (16, 12), "batch_size": 7},
            "stopped": {"batch_size": 7, "early_stopping": True},
        },
        search={"n_components": [16, 32, 64]},
    ),
    ModelRow(
        "DeepCoNN",
        "text._deep_conn",
        "convolutions of what a user wrote and of what was written about an item",
        "reviews",
        floor=1.0058,
        fast={"max_iter": 2},
        small={**_NEURAL, "n_filters": 8, "hidden_layer_sizes": (8,), "embedding_size": 8},
        variants={
            "plain": {"offsets": False, "hidden_layer_sizes": (), "batch_size": 70},
            "stopped": {"early_stopping": True},
        },
        search={"n_components": [4, 8, 16], "dropout": [0.2, 0.5]},
        expected_failures=_OFFSETS_WITHOUT_TEXTS,
    ),
    ModelRow(
        "TransNet",
        "text._trans_net",
        "foresees what the review of a pair would say, and rates by that",
        "reviews",
        floor=1.0058,
        fast={"max_iter": 2},
        small={**_NEURAL, "n_filters": 8, "hidden_layer_sizes": (8,), "embedding_size": 8},
        variants={
            "plain": {"offsets": False, "hidden_layer_sizes": (), "batch_size": 70},
            "stopped": {"early_stopping": True, "n_transforms": 1},
        },
        search={"n_transforms": [1, 2, 3], "dropout": [0.2, 0.5]},
        expected_failures=_OFFSETS_WITHOUT_TEXTS,
    ),
    ModelRow(
        "CVAE",
        "text._cvae",
        "factors of choices or ratings and codes of the items' texts, drawn to each other",
        "choices",
        floor=1.48,
        small={"n_components": 4, "n_text_epochs": 150, "random_state": 0},
        variants={"ratings": {"feedback": "ratings"}},
        search={"unobserved_weight": [0.05, 0.1, 0.2], "l2": [2, 5, 10], "l2_item": [2, 5, 10]},
    ),
    ModelRow(
        "CTR",
        "text._ctr",
        "factors of choices or ratings that are drawn to the topics of the items' texts",
        "choices",
        floor=1.48,
        small={"n_components": 4, "random_state": 0},
        variants={"ratings": {"feedback": "ratings"}},
        search={"unobserved_weight": [0.05, 0.1, 0.2], "l2": [2, 5, 10], "l2_item": [2, 5, 10]},
    ),
    ModelRow(
        "HFT",
        "text._hft",
        "ratings and the topics of the items' texts from the same factors",
        "reviews",
        floor=1.032,
        fast={"l2": 12.0, "l2_offset": 8.0},
        small={"n_components": 4, "l2": 0.5, "random_state": 0},
        variants={"plain": {"text_weight": 0, "l2": None}},
        search={"n_components": [5, 10, 20], "text_weight": [0.3, 1.0, 3.0]},
    ),
    ModelRow(
        "SlopeOne",
        "neighbors._slope_one",
        "mean deviations between the ratings of two items",
        "ratings",
        floor=1.01,
        variants={"plain": {"weighted": False, "shrinkage": 0.0}},
        search={"weighted": [False, True], "shrinkage": [0.0, 1.0, 3.0]},
        expected_failures={
            "check_withheld_block_is_recovered": "deviations do not depend on the user: to the "
            "users of both blocks together, their items are alike"
        },
    ),
    ModelRow(
        "CoClustering",
        "factorization._co_clustering",
        "means of users, of items and of clusters of both",
        "ratings",
        floor=1.013,
        small={"n_user_clusters": 2, "n_item_clusters": 2, "n_init": 2, "random_state": 0},
        variants={"hard": {"assignment": "hard", "shrinkage": 0.0}},
        search={"n_user_clusters": [2, 3, 5], "n_item_clusters": [2, 3, 5]},
    ),
    ModelRow(
        "NonNegativePMF",
        "factorization._non_negative_pmf",
        "matrix factorisation of ratings whose factors are not negative (NMF)",
        "ratings",
        floor=1.037,
        small={"n_components": 3, "l2": 0.3, "random_state": 0},
        variants={"zero": {"prior": "zero", "l2": 0.05, "l2_exponent": 1.0}},
        search={"n_components": [8, 16, 32], "l2": [2.0, 3.5, 5.0]},
    ),
    ModelRow(
        "Popularity",
        "linear._popularity",
        "the same list for everybody, a calibration row",
        "choices",
        floor=5.9,
        calibration=True,
    ),
    ModelRow(
        "BiasBaseline",
        "linear._bias",
        "rating prediction from user and item offsets, a calibration row",
        "ratings",
        floor=1.205,
        variants={"free": {"clip": False}},
        calibration=True,
    ),
]
MODELS = {row.name: row for row in _ROWS}


def model_lists():
    """Write out the lists of models, as they should stand in a source checkout.

    Returns
    -------
    contents : dict of Path to str
        The exports, and of the files about the package those that are there.
    """
    contents = {PACKAGE / "__init__.pyi": _exports(PACKAGE, lambda row: f".{row.room}", "")}
    for room in sorted({row.room for row in _ROWS}):
        contents[PACKAGE / room / "__init__.pyi"] = _exports(
            PACKAGE / room, lambda row: "." + row.module.split(".")[1], room
        )
    names = "".join(f"   {row.name}\n" for row in _ROWS)
    table = "".join(f"| `{row.name}` | {row.line} |\n" for row in _ROWS)
    listed = "".join(
        f"- :class:`~skrec.{row.name}`: {row.line.replace('`', '``')}\n" for row in _ROWS
    )
    for path, start, end, lines in [
        ("docs/api.rst", ".. the models", ".. end of the models", _AUTOSUMMARY + names),
        ("docs/index.rst", ".. the models", ".. end of the models", listed),
        ("README.md", "<!-- the models -->", "<!-- end of the models -->", _HEAD + table),
    ]:
        path = PACKAGE.parent / path
        if path.exists():
            before, rest = path.read_text().split(start)
            after = rest.split(end)[1]
            contents[path] = f"{before}{start}\n\n{lines}\n{end}{after}"
    return contents


_AUTOSUMMARY = ".. autosummary::\n   :toctree: generated\n   :nosignatures:\n\n"
_HEAD = "| Estimator | What it is |\n|---|---|\n"


def _exports(folder, module_of, room):
    """Write a package's stub: the models of the table, and what else it exports already."""
    imports = {}
    stub = folder / "__init__.pyi"
    for node in ast.parse(stub.read_text()).body if stub.exists() else ():
        if isinstance(node, ast.ImportFrom):
            source = "." * node.level + (node.module or "")
            imports[source] = {alias.name for alias in node.names} - MODELS.keys()
    for row in _ROWS:
        if room in ("", row.room):
            imports.setdefault(module_of(row), set()).add(row.name)
    lines = [
        _listed(f"from {source} import ", sorted(names, key=_import_order), "()", needed=False)
        for source, names in sorted(imports.items())
        if names
    ]
    exported = [f'"{name}"' for name in sorted(set().union(*imports.values()), key=_order)]
    return "\n".join([*lines, "", _listed("__all__ = ", exported, "[]"), ""])


def _order(name):
    """Constants, classes, then the rest, as the linter wants them."""
    return not name.isupper(), not name[0].isupper(), name


def _import_order(name):
    """The same for imported names, which it sorts whatever their case."""
    *kind, name = _order(name)
    return *kind, name.casefold()


def _listed(start, names, brackets, needed=True):
    """Join names in a line, or put each on a line of its own if that is too long."""
    line = ", ".join(names)
    left, right = brackets
    line = start + (f"{left}{line}{right}" if needed else line)
    if len(line) <= 99:
        return line
    return f"{start}{left}\n" + "".join(f"    {name},\n" for name in names) + right


if __name__ == "__main__":
    for path, content in model_lists().items():
        path.write_text(content)
