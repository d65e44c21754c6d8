"""Settings of the rankers, and the figures that they are compared with. See README.md."""

from typing import NamedTuple

import skrec

SPLITS = {"ml-1m": 3, "ml-latest-small": 5, "toy": 1}  # how many of data.partitions

# As many users as a split's validation part has are held out by networks that stop early.
EVERYWHERE = {"random_state": 0, "validation_fraction": 1 / 9}


# What the papers of networks have, where the defaults are others, for MovieLens 20M.
PAPER = {
    "MultVAE": {
        "hidden_layer_sizes": (600,),
        "beta": 0.2,
        "n_annealing_updates": 200_000,
        "batch_size": 500,
    },
    "MultDAE": {"batch_size": 500},
    "RecVAE": {"hidden_layer_sizes": (600, 600, 600, 600, 600), "batch_size": 500},
    "EnhancedVAE": {
        "n_components": 200,
        "hidden_layer_sizes": (600, 600),
        "hierarchical": True,
        "n_pseudo_inputs": 1000,
        "gated": True,
        "normalize_gradients": True,
        "beta": 0.3,
        "n_annealing_epochs": 100,
        "learning_rate": 0.0005,
        "batch_size": 200,
        "max_iter": 400,
        "n_iter_no_change": 50,
    },
}


class Row(NamedTuple):
    """A ranker as it stands on the board of results.

    Parameters
    ----------
    model : str
        Its class.
    tuned : dict of str to dict
        By data set, what is changed of the defaults, chosen on the validation users of the first
        split. Where a data set is not named, the defaults stand.
    grid : dict
        What ``results_board.py --tune`` tries, instead of the grid of the model table.
    """

    model: str
    tuned: dict = {}
    grid: dict = {}


# Members of an ensemble are named by their rows. On MovieLens 1M EASE goes without `store_rows`,
# which is for updates and makes no difference to what is recommended; the dual form, of fewer
# users than items, needs it.
_PLAIN = {"store_rows": False}
_GRAPH = {"n_components": 150, "user_power": 0.35, "item_power": 0.35}
_RELAXED = {"l2": 500, "dropout": 0.3, "relaxation": 0.4, "user_power": 0.5}
ROWS = {
    "Popularity": Row("Popularity"),
    "ItemKNN": Row("ItemKNN", {"ml-latest-small": {"n_neighbors": 200}}),
    "ItemKNN, conditional": Row(
        "ItemKNN", {"ml-1m": {"similarity": "conditional", "shrinkage": 400}}
    ),
    "UserKNN": Row("UserKNN"),
    "RP3beta": Row(
        "RP3beta",
        {"ml-latest-small": {"n_neighbors": 200, "beta": 0.4}},
        grid={
            "n_neighbors": [50, 100, 200],
            "alpha": [0.6, 1.0],
            "beta": [0.2, 0.3, 0.4, 0.6, 0.8],
        },
    ),
    "SLIM": Row("SLIM"),
    "SLIM, equal users": Row("SLIM", {"ml-1m": {"user_power": 0.0}}),
    "SLIM, fewer weights": Row("SLIM", {"ml-1m": {"l1": 5.0}}),
    "SANSA": Row("SANSA", {"ml-latest-small": {"l2": 200}}),
    "ELSA": Row("ELSA"),
    "EASE": Row(
        "EASE",
        {"ml-1m": {**_PLAIN, "l2": 500}, "ml-latest-small": {"l2": 200}},
        {"l2": [100, 150, 200, 300, 500, 700, 1000]},
    ),
    "EASE, dropout": Row(
        "EASE",
        {"ml-1m": {**_PLAIN, "l2": 300, "dropout": 0.5}},
        {"l2": [200, 300, 500], "dropout": [0.3, 0.5, 0.7]},
    ),
    "EASE, relaxed": Row(
        "EASE",
        {"ml-1m": {**_PLAIN, **_RELAXED}, "ml-latest-small": {**_RELAXED, "l2": 200}},
        {
            "l2": [100, 200, 300, 500, 700],
            "dropout": [0.2, 0.3, 0.4],
            "relaxation": [0.3, 0.4, 0.5],
        },
    ),
    "GraphFilter": Row(
        "GraphFilter",
        {"ml-1m": _GRAPH},
        {
            "n_components": [100, 150, 200],
            "user_power": [0.25, 0.3, 0.35, 0.4],
            "item_power": [0.3, 0.35, 0.4],
            "spectral_power": [0.4, 0.5, 0.6],
            "linear_weight": [0.1, 0.25, 0.5],
        },
    ),
    "GraphFilter, spectral part": Row("GraphFilter", {"ml-1m": {**_GRAPH, "linear_weight": 0}}),
    "GraphFilter, GF-CF": Row(
        "GraphFilter",
        {
            "ml-1m": {
                "n_components": 256,
                "filter": "gf-cf",
                "user_power": 0.5,
                "item_power": 0.5,
                "spectral_power": 0,
                "linear_weight": 1,
                "n_neighbors": None,
            }
        },
        {"linear_weight": [0.3, 1, 3]},
    ),
    "GraphFilter, Turbo-CF": Row(
        "GraphFilter",
        {
            "ml-1m": {
                "n_components": 0,
                "filter": "gf-cf",
                "user_power": 0.7,
                "item_power": 0.3,
                "n_neighbors": None,
                "order": 2,
            }
        },
        {"linear_power": [0.7, 1, 1.4], "order": [1, 2, 3]},
    ),
    # The networks: on the users that early stopping holds out.
    "MultVAE": Row(
        "MultVAE",
        {
            "ml-1m": {
                "hidden_layer_sizes": (),
                "beta": 0.05,
                "n_annealing_updates": 1000,
                "batch_size": 100,
                "n_iter_no_change": 8,
            },
            "ml-latest-small": {
                "hidden_layer_sizes": (),
                "beta": 0.1,
                "n_annealing_updates": 500,
                "batch_size": 50,
            },
        },
    ),
    # The actor's settings are those of MultVAE's row; what follows was chosen beside them.
    "RaCT": Row(
        "RaCT",
        {
            "ml-1m": {"beta": 0.05, "batch_size": 100, "n_iter_no_change": 12},
        },
    ),
    "AdversarialVAE": Row("AdversarialVAE"),
    "MultDAE": Row(
        "MultDAE", {"ml-1m": {"batch_size": 500}, "ml-latest-small": {"batch_size": 50}}
    ),
    "CDAE": Row("CDAE"),
    "NBVAE": Row(
        "NBVAE",
        {"ml-1m": {"learning_rate": 0.001, "max_iter": 65, "early_stopping": False}},
    ),
    "RecVAE": Row(
        "RecVAE", {"ml-1m": {"n_iter_no_change": 6}, "ml-latest-small": {"n_iter_no_change": 8}}
    ),
    # On MovieLens 1M one layer of 400 units, neither gates nor a second level of codes, has 0.001
    # more on the validation users of the first split.
    "EnhancedVAE": Row(
        "EnhancedVAE",
        {
            "ml-1m": {
                "n_components": 50,
                "hidden_layer_sizes": (200,),
                "likelihood": "bernoulli",
                "hierarchical": True,
                "gated": True,
                "beta": 0.1,
                "n_annealing_epochs": 5,
                "dropout": 0.7,
                "learning_rate": 0.0005,
                "max_iter": 400,
                "n_iter_no_change": 25,
            },
        },
    ),
    "VAEAC": Row("VAEAC"),
    "NeuralEASE": Row("NeuralEASE"),
    "FLVAE": Row("FLVAE"),
    "VASP": Row("VASP"),
    "CTR": Row("CTR"),
    "CVAE": Row("CVAE"),
    "HPF": Row("HPF", {"ml-1m": {"n_components": 50}}),
    "IALS": Row(
        "IALS",
        {
            "ml-1m": {"n_components": 512, "max_iter": 16},
            "ml-latest-small": {"unobserved_weight": 0.4},
        },
    ),
    "BPR": Row("BPR", {"ml-1m": {"loss": "warp", "n_negatives": 20, "batch_size": 64}}),
    "LightGCN": Row("LightGCN"),
    "NGCF": Row("NGCF"),
    "NeuMF": Row("NeuMF", {"ml-1m": {"max_iter": 20, "early_stopping": False}}),
    "ConvNCF": Row(
        "ConvNCF",
        {
            "ml-1m": {"max_iter": 8, "early_stopping": False},
            "ml-latest-small": {"max_iter": 20, "early_stopping": False},
        },
    ),
    "EASE, relaxed + GraphFilter": Row(
        "VotingRecommender",
        {"ml-1m": {"estimators": [("ease", "EASE, relaxed"), ("graph", "GraphFilter")]}},
    ),
}

# Members of the ensembles by data set: name, row, and what is changed of the row's setting. On
# MovieLens 1M they were chosen on the validation users of the first split, the smaller data's on
# users held out of its training users. Beside a network, a flatter spectrum is the better graph
# filter, though alone the worse one; a network that holds out no users is better than one that
# stops early, after as many epochs as that one had at its best.
_MEMBERS = {
    "ml-1m": [
        ("ease", "EASE, relaxed"),
        ("graph", "GraphFilter", {"spectral_power": 0.2}),
        ("vae", "RecVAE", {"early_stopping": False, "max_iter": 38}),
        ("vae_2", "RecVAE", {"early_stopping": False, "max_iter": 38, "random_state": 1}),
    ],
    "ml-latest-small": [
        ("ease", "EASE", {"l2": 200, "dropout": 0.4}),
        ("graph", "GraphFilter", {"n_components": 100}),
        ("vae", "MultVAE", {"early_stopping": False, "max_iter": 95}),
    ],
    "toy": [("ease", "EASE"), ("graph", "GraphFilter"), ("vae", "RecVAE")],
}
_ENSEMBLES = {data: {"estimators": members} for data, members in _MEMBERS.items()}
ROWS |= {name: Row(name, _ENSEMBLES) for name in ("VotingRecommender", "StackingRecommender")}

# Models of other libraries, as `peers.py` sets them, and the rows that they are compared with. The
# setting of iALS was chosen for MovieLens 1M.
_ALIKE = {
    "irspack DenseSLIM": "EASE",
    "irspack SLIM": "SLIM",
    "irspack CosineKNN": "ItemKNN",
    "implicit Cosine": "ItemKNN",
    "irspack RP3beta": "RP3beta",
}
PEERS = {"ml-1m": {**_ALIKE, "irspack iALS": "IALS"}, "ml-latest-small": _ALIKE}

# NDCG@100 on the same splits of what nobody packages, by row.
_BY_HAND = "the formula in NumPy"
WRITTEN = {
    "ml-1m": {
        "EASE": (0.4214, _BY_HAND),
        "EASE, dropout": (0.4271, _BY_HAND),
        "EASE, relaxed": (0.4330, _BY_HAND),
        "GraphFilter": (0.4319, "SGFCF in NumPy"),
        "EASE, relaxed + GraphFilter": (0.4389, "their sum in NumPy"),
        "MultVAE": (0.3866, "a loop in torch, ``autoencoders.py --quality``"),
    },
    "ml-latest-small": {},
}

# NDCG@100 on MovieLens 20M, and where it is printed: another data set, and no target here.
PUBLISHED = {
    "EASE": (0.420, "Steck, WWW 2019, :doi:`10.1145/3308558.3313710`"),
    "SANSA": (0.420, "Spišák et al., RecSys 2023, :doi:`10.1145/3604915.3608827`, own split"),
    "ELSA": (0.426, "Vančura et al., RecSys 2022, :doi:`10.1145/3523227.3551482`, own split"),
    "MultDAE": (0.419, "Liang et al., WWW 2018, :doi:`10.1145/3178876.3186150`"),
    "MultVAE": (0.426, "Liang et al., WWW 2018, :doi:`10.1145/3178876.3186150`"),
    "CDAE": (0.418, "Liang et al., WWW 2018, :doi:`10.1145/3178876.3186150`"),
    "RaCT": (0.434, "Lobel et al., ICLR 2020, :arxiv:`1906.04281`"),
    "RecVAE": (0.442, "Shenbin et al., WSDM 2020, :doi:`10.1145/3336191.3371831`"),
    "EnhancedVAE": (0.445, "Kim and Suh, RecSys 2019, :doi:`10.1145/3298689.3347015`"),
    "IALS": (0.425, "Rendle et al., RecSys 2022, :arxiv:`2110.14037`"),
}


def setting(name, data):
    """What a row changes of its model's defaults, but for `EVERYWHERE`."""
    return ROWS[name].tuned.get(data, {})


def on_board(data):
    """Names of the rows: each ranker, and what has a setting of its own on this data set."""
    return [
        name
        for name, row in ROWS.items()
        if row.model in skrec.__all__ and (name == row.model or data in row.tuned)
    ]


def tuned(data):
    """Settings of the models by class, without the rows that are variants."""
    return {name: setting(name, data) for name in on_board(data) if name == ROWS[name].model}


def estimator(name, data, **changes):
    """The model of a row with its setting on a data set and these changes, not fitted."""
    values = {**setting(name, data), **changes}
    if "estimators" in values:
        values["estimators"] = [
            (member, estimator(row, data, **others))
            for member, row, others in _members(values["estimators"])
        ]
    model = getattr(skrec, ROWS[name].model)(**values)
    return model.set_params(**everywhere(model))


def _members(members):
    """Name, row and changes of each: what members of an ensemble are written as, in full."""
    return [(*member, {})[:3] for member in members]


def everywhere(model):
    """What of `EVERYWHERE` a model or its members have as parameters; a named seed stays."""
    changes = {}
    for key, value in model.get_params().items():
        name = key.split("__")[-1]
        if name in EVERYWHERE and not (name == "random_state" and value is not None):
            changes[key] = EVERYWHERE[name]
    return changes


def describe(name, data, **changes):
    """A row's model as it is written in Python with these changes, but for `EVERYWHERE`."""
    values = {**setting(name, data), **changes}
    if "estimators" in values:
        members = [
            f"({member!r}, {describe(row, data, **others)})"
            for member, row, others in _members(values["estimators"])
        ]
        values["estimators"] = f"[{', '.join(members)}]"
    arguments = [
        f"{key}={value if key == 'estimators' else repr(value)}" for key, value in values.items()
    ]
    return f"{ROWS[name].model}({', '.join(arguments)})"


def parameters(name, data):
    """All parameters of a row's model and its members as text, defaults included."""
    values = estimator(name, data).get_params().items()
    return {
        key: repr(value)
        for key, value in values
        if not key.endswith("estimators") and not hasattr(value, "get_params")
    }


def is_current(entry, name, data):
    """Whether figures are of the present setting and defaults; new parameters change nothing."""
    present = parameters(name, data)
    measured = entry.get("parameters", {})
    same = all(present[key] == value for key, value in measured.items() if key in present)
    return same and entry.get("setting") == describe(name, data)
