"""Settings of the rating models, and the figures that they are compared with. See README.md."""

from typing import NamedTuple

from skrec._model_table import MODELS


class Row(NamedTuple):
    """A rating model as it stands in the tables.

    Parameters
    ----------
    model : str
        Its class.
    parameters : dict
        What is changed of the defaults.
    features : tuple of str
        Of whom it reads features: "user", "item".
    peer : str
        The worker of ``rating_workers.py`` that it is compared with.
    published : dict of str to str
        By protocol, RMSE (and MAE) as papers print them, on the same kind of split.
    slow : bool
        Whether it takes hours on MovieLens 1M.
    """

    model: str
    parameters: dict = {}
    features: tuple = ()
    peer: str = ""
    published: dict = {}
    slow: bool = False


def _like_surprise(center):
    settings = {"based_on": "user", "similarity": "msd", "center": center, "msd_scale": 1.0}
    return settings | ({"l2_user": 15.0, "l2_item": 10.0} if center == "baseline" else {})


ROWS = {
    "BiasBaseline": Row(
        "BiasBaseline",
        peer="Surprise BaselineOnly",
        published={"ml-100k": "0.944 (0.748)", "ml-1m-5-folds": "0.909"},
    ),
    "RatingKNN, as KNNBasic": Row(
        "RatingKNN",
        _like_surprise("none"),
        peer="Surprise KNNBasic",
        published={"ml-100k": "0.980 (0.774)", "ml-1m-5-folds": "0.923"},
    ),
    "RatingKNN, as KNNWithMeans": Row(
        "RatingKNN",
        _like_surprise("mean"),
        peer="Surprise KNNWithMeans",
        published={"ml-100k": "0.951 (0.749)", "ml-1m-5-folds": "0.929"},
    ),
    "RatingKNN, as KNNWithZScore": Row(
        "RatingKNN", _like_surprise("zscore"), peer="Surprise KNNWithZScore"
    ),
    "RatingKNN, as KNNBaseline": Row(
        "RatingKNN",
        _like_surprise("baseline"),
        peer="Surprise KNNBaseline",
        published={"ml-100k": "0.931 (0.733)", "ml-1m-5-folds": "0.895"},
    ),
    "RatingKNN": Row("RatingKNN", peer="Surprise KNNBaseline (items, Pearson)"),
    "SlopeOne, as Surprise": Row(
        "SlopeOne",
        {"weighted": False, "shrinkage": 0.0},
        peer="Surprise SlopeOne",
        published={"ml-100k": "0.946 (0.743)", "ml-1m-5-folds": "0.907"},
    ),
    "SlopeOne": Row("SlopeOne"),
    "CoClustering, as Surprise": Row(
        "CoClustering",
        {"assignment": "hard", "shrinkage": 0.0},
        peer="Surprise CoClustering",
        published={"ml-100k": "0.963 (0.753)", "ml-1m-5-folds": "0.915"},
    ),
    "CoClustering": Row("CoClustering"),
    "NonNegativePMF": Row(
        "NonNegativePMF",
        peer="Surprise NMF",
        published={"ml-100k": "0.963 (0.758)", "ml-1m-5-folds": "0.916"},
    ),
    "PMF": Row(
        "PMF",
        peer="Surprise SVD",
        published={
            "ml-100k": "0.934 (0.737) SVD, 0.9087 biased PMF",
            "ml-1m-5-folds": "0.873",
            "ml-1m-90-10": "0.845",
        },
    ),
    "SVDpp": Row(
        "SVDpp",
        peer="Surprise SVDpp",
        published={"ml-100k": "0.919 (0.721)", "ml-1m-5-folds": "0.862"},
    ),
    "BayesianPMF": Row("BayesianPMF"),
    "BayesianPMF, genres": Row(
        "BayesianPMF", features=("item",), published={"ml-100k": "0.9065, BMFSI"}
    ),
    "SparseCovariancePMF": Row("SparseCovariancePMF", published={"ml-100k": "0.9068, SCMF"}),
    "RobustPMF": Row("RobustPMF"),
    "RobustPMF, equal noise": Row("RobustPMF", {"user_dof": None, "item_dof": None}),
    "MDACF": Row("MDACF", features=("user", "item"), published={"ml-100k": "0.9040, mDA-CF"}),
    "MDACF, stacked": Row(
        "MDACF",
        {"n_layers": 2, "item_feature_weight": 50.0, "user_feature_weight": 2.0},
        features=("user", "item"),
        published={"ml-100k": "0.9024, mSDA-CF"},
    ),
    "AutoRec (item)": Row(
        "AutoRec", published={"ml-1m-90-10": "0.831", "ml-1m-70-15-15": "0.859"}
    ),
    "AutoRec (user)": Row(
        "AutoRec",
        {"based_on": "user"},
        published={"ml-1m-90-10": "0.874", "ml-1m-70-15-15": "0.883"},
    ),
    "DeepLatentFactor": Row(
        "DeepLatentFactor",
        {"variational": False},
        published={"ml-100k": "0.9271 (0.7330)"},
        slow=True,
    ),
    "DeepLatentFactor (variational)": Row(
        "DeepLatentFactor",
        {"variational": True},
        published={"ml-100k": "0.9689 (0.7687)"},
        slow=True,
    ),
    "LightGCN": Row("LightGCN", {"loss": "squared_error", "learning_rate": 0.01, "dropout": 0.2}),
    "NGCF": Row("NGCF", {"loss": "squared_error", "learning_rate": 0.003, "dropout": 0.2}),
    "NeuMF, GMF alone": Row("NeuMF", {"loss": "squared_error", "parts": "gmf"}),
    "NeuMF, MLP alone": Row("NeuMF", {"loss": "squared_error", "parts": "mlp"}),
    "NeuMF": Row("NeuMF", {"loss": "squared_error"}, published={"ml-1m-70-15-15": "0.870"}),
    "ConvNCF": Row(
        "ConvNCF",
        {"loss": "squared_error", "learning_rate": 0.005, "batch_size": 32},
        published={"ml-1m-70-15-15": "0.875"},
    ),
    "VAEBMF": Row("VAEBMF", published={"ml-1m-70-15-15": "0.852"}),
    "VAEBMF, attention": Row(
        "VAEBMF", {"attention": "rated"}, published={"ml-1m-70-15-15": "0.842"}
    ),
    "VAEBMF, no cross feedback": Row(
        "VAEBMF", {"cross_feedback": False}, published={"ml-1m-70-15-15": "0.864"}
    ),
    "VAEBMF, no data input": Row(
        "VAEBMF", {"data_input": False}, published={"ml-1m-70-15-15": "0.917"}
    ),
}
ABLATIONS = [name for name in ROWS if name.startswith("VAEBMF,")]
# Those that can be measured where there are no features: others would go by a wrong name.
WITHOUT_FEATURES = [name for name, row in ROWS.items() if not row.features]


def estimator(name):
    """The model of a row; what is random is drawn with the seed 0."""
    row = ROWS[name]
    made = MODELS[row.model].load()(**row.parameters)
    return made.set_params(random_state=0) if "random_state" in made.get_params() else made


def describe(name):
    """The model of a row as it would be written."""
    row = ROWS[name]
    written = [f"{parameter}={value!r}" for parameter, value in row.parameters.items()]
    written += [f"{side}_features=..." for side in row.features]
    return f"{row.model}({', '.join(written)})"


def parameters(name):
    """All parameters of a row's model as text, defaults included."""
    return {key: repr(value) for key, value in estimator(name).get_params().items()}


def is_current(entry, name):
    """Whether figures are of the present setting and defaults; new parameters change nothing."""
    present = parameters(name)
    measured = entry.get("parameters", {})
    same = all(present[key] == value for key, value in measured.items() if key in present)
    return same and entry.get("setting") == describe(name)


def published(protocol):
    """What papers print, by row."""
    found = {name: row.published.get(protocol) for name, row in ROWS.items()}
    return {name: figure for name, figure in found.items() if figure}


def rows_of(protocol):
    """The rows of a protocol's table."""
    return [
        name
        for name, row in ROWS.items()
        if name not in ABLATIONS and not (row.slow and protocol != "ml-100k")
    ]
