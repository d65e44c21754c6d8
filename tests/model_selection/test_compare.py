"""compare_recommenders against cross_validate and scipy."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse, stats
from sklearn.model_selection import KFold, ShuffleSplit, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Binarizer, MaxAbsScaler

from skrec import EASE, BiasBaseline, Interactions, Popularity, Reviews
from skrec.metrics import ranking_scorer, rating_scorer, standard_error
from skrec.model_selection import Comparison, StrongGeneralizationSplit, compare_recommenders
from skrec.model_selection._compare import paired_p_value
from skrec.reviews import as_reviews

MODELS = {
    "popularity": Popularity(),
    "EASE": EASE(l2=20),
    "likes": make_pipeline(Binarizer(threshold=3.5), EASE(l2=5)),
}


@pytest.fixture(scope="module")
def ratings():
    rng = np.random.default_rng(0)
    group = rng.integers(0, 3, (151, 1)) == np.repeat(np.arange(3), 20)
    X = np.where(rng.random((151, 60)) < np.where(group, 0.3, 0.06), 1.0, 0.0)
    X *= rng.integers(1, 6, X.shape)
    X[:9] = 0  # these count in no average
    return sparse.csr_array(X)


def rows_of(table):
    columns = [table[column] for column in table]
    return {
        (row[0], row[1]): dict(zip(table, row, strict=True)) for row in zip(*columns, strict=True)
    }


@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize(
    "scoring",
    [
        ranking_scorer(["ndcg@10", "coverage@5", "novelty@5"], relevance=3),
        ranking_scorer("recall@5"),
        rating_scorer(["neg_rmse", "neg_mae"]),
    ],
)
def test_means_are_those_of_cross_validate(ratings, scoring, n_jobs):
    cv = KFold(4, shuffle=True, random_state=0)
    table = compare_recommenders(MODELS, ratings, cv=4, scoring=scoring, n_jobs=n_jobs)
    found = rows_of(table)
    for name, model in MODELS.items():
        expected = cross_validate(model, ratings, cv=cv, scoring=scoring)
        for metric in scoring.metrics:
            key = "test_score" if scoring.single else f"test_{metric}"
            assert_allclose(found[name, metric]["mean"], expected[key].mean(), rtol=1e-9)
    assert len(found) == len(MODELS) * len(scoring.metrics)


def test_tests_are_those_of_scipy_on_values_per_user(ratings):
    scoring = ranking_scorer(["ndcg@10", "coverage@5"])
    cv = ShuffleSplit(2, test_size=0.3, random_state=0)
    values, means = {}, {}
    for name, model in MODELS.items():
        answers = [
            scoring.evaluate(model.fit(ratings[train]), ratings[test])
            for train, test in cv.split(ratings)
        ]
        values[name] = np.concatenate([per_user["ndcg@10"] for _, per_user in answers])
        means[name] = np.mean([scores["ndcg@10"] for scores, _ in answers])
    best = max(means, key=means.get)
    found = rows_of(compare_recommenders(MODELS, ratings, cv=cv, scoring=scoring))
    for name in MODELS:
        row = found[name, "ndcg@10"]
        p_value = stats.ttest_rel(values[name], values[best], nan_policy="omit").pvalue
        assert_allclose(row["p_value"], np.nan if name == best else p_value, rtol=1e-9)
        assert_allclose(row["standard_error"], standard_error(values[name]))
        assert_allclose(row["difference"], means[name] - means[best], atol=1e-12)
        assert row["n_users"] == np.count_nonzero(~np.isnan(values[name])) < len(values[name])
        assert row["fit_time"] > 0 and row["score_time"] > 0
        row = found[name, "coverage@5"]
        assert np.isnan(row["p_value"]) and np.isnan(row["standard_error"])
        assert row["n_users"] == 2 * 46


def test_best_model_first_and_columns_for_data_frames(ratings):
    table = compare_recommenders(MODELS, ratings, cv=2)
    assert list(table) == [
        "model",
        "metric",
        "mean",
        "standard_error",
        "difference",
        "p_value",
        "n_users",
        "fit_time",
        "score_time",
    ]
    assert list(dict.fromkeys(table["metric"])) == ["ndcg@100", "recall@20", "recall@50"]
    for start in range(0, 9, 3):
        assert (np.diff(table["mean"][start : start + 3]) <= 0).all()
        assert table["difference"][start] == 0
        assert np.isnan(table["p_value"][start])
    assert table["model"][0] != "popularity"
    frame = pd.DataFrame(table)
    assert frame.shape == (9, 9)
    assert frame["mean"].dtype == float
    assert pl.DataFrame(table).shape == (9, 9)


def test_identical_models_do_not_differ(ratings):
    table = compare_recommenders({"a": EASE(l2=20), "b": EASE(l2=20)}, ratings, cv=2)
    assert_array_equal(table["model"][:2], ["a", "b"])
    assert table["difference"][1] == 0
    assert table["p_value"][1] == 1


def test_paired_p_value_of_degenerate_pairs():
    assert paired_p_value(np.array([1.0, 2.0]), np.array([0.0, 1.0])) == 0
    assert np.isnan(paired_p_value(np.array([1.0, np.nan]), np.array([0.0, 1.0])))


def test_other_ways_to_split(ratings):
    model = {"popularity": Popularity()}
    split = StrongGeneralizationSplit(0, 0.3, random_state=0)
    expected = compare_recommenders(model, ratings, cv=split)
    pairs = list(split.split(ratings))
    for cv, X in [(pairs, ratings), (iter(pairs), ratings), (split, ratings.tocoo())]:
        assert_array_equal(compare_recommenders(model, X, cv=cv)["mean"], expected["mean"])
    frame = pd.DataFrame(ratings.toarray(), columns=[f"item{i}" for i in range(60)])
    got = compare_recommenders({"EASE": EASE()}, frame, cv=split)
    assert got["mean"][0] > 0
    assert np.isnan(got["p_value"]).all()


def test_models_given_are_not_fitted(ratings):
    model = BiasBaseline()
    compare_recommenders({"bias": model}, ratings, cv=2, scoring=rating_scorer())
    assert not hasattr(model, "n_features_in_")


def test_progress_goes_to_standard_error(ratings, capfd):
    compare_recommenders({"popularity": Popularity()}, ratings, cv=2)
    assert capfd.readouterr() == ("", "")
    compare_recommenders({"popularity": Popularity()}, ratings, cv=2, verbose=1)
    out, err = capfd.readouterr()
    assert out == ""
    assert "2/2" in err


def test_printed_table():
    table = Comparison(
        model=np.array(["EASE", "popularity"]),
        metric=np.array(["ndcg@100", "ndcg@100"]),
        mean=np.array([0.42, 0.1912345]),
        standard_error=np.array([0.0021, 0.0018]),
        difference=np.array([0.0, -0.2287655]),
        p_value=np.array([np.nan, 1.23456e-16]),
        n_users=np.array([10000, 10000]),
        fit_time=np.array([12.3456, 0.1]),
        score_time=np.array([1.5, 1.25]),
    )
    expected = """\
model       metric      mean    standard error    difference    p value    n users    fit time    score time
----------  --------  ------  ----------------  ------------  ---------  ---------  ----------  ------------
EASE        ndcg@100  0.4200            0.0021        0.0000                 10000       12.35          1.50
popularity  ndcg@100  0.1912            0.0018       -0.2288    1.2e-16      10000        0.10          1.25"""  # noqa: E501
    assert str(table) == repr(table) == expected


def test_table_for_notebooks_and_as_a_frame(ratings):
    X = Interactions(ratings, range(151), range(60), backend="polars")
    table = compare_recommenders({"<b>": EASE(), "a": Popularity()}, X, cv=2, scoring="ndcg@5")
    html = table._repr_html_()
    assert "<table" in html and "&lt;b&gt;" in html and "<b>" not in html
    assert "standard error" in html
    frame = table.to_frame()
    assert isinstance(frame, pl.DataFrame)
    assert frame.columns == list(table)
    assert frame["mean"].to_list() == table["mean"].tolist()
    assert frame["model"].to_list() == table["model"].tolist()
    for backend in ("pandas", "pyarrow"):
        native = table.to_frame(backend)
        assert type(native).__module__.startswith(backend)
        assert native.shape == (2, 9)
    assert isinstance(pickle.loads(pickle.dumps(table)).to_frame(), pl.DataFrame)


@pytest.mark.parametrize("scoring", ["ndcg@5", ["neg_rmse", "neg_mae"], ("ndcg@5", "recall@5")])
def test_names_of_metrics_are_scorers(ratings, scoring):
    names = [scoring] if isinstance(scoring, str) else list(scoring)
    make = rating_scorer if "neg_rmse" in names else ranking_scorer
    models = {"bias": BiasBaseline()} if make is rating_scorer else {"EASE": EASE()}
    found = compare_recommenders(models, ratings, cv=2, scoring=scoring)
    expected = compare_recommenders(models, ratings, cv=2, scoring=make(names))
    assert found["metric"].tolist() == names
    assert_array_equal(found["mean"], expected["mean"])
    for mixed in (["neg_rmse", "ndcg@5"], ["ndcg@5", "neg_rmse"]):
        with pytest.raises(ValueError, match="'neg_rmse' measures predicted ratings"):
            compare_recommenders(models, ratings, scoring=mixed)


def test_a_rating_model_among_rankers_of_raw_ratings_is_pointed_out(ratings):
    models = {"EASE": EASE(), "offsets": make_pipeline(MaxAbsScaler(), BiasBaseline())}
    with pytest.warns(UserWarning, match="model 'offsets' predicts ratings.*relevance=4") as found:
        compare_recommenders(models, ratings, cv=2, scoring="ndcg@5")
    assert len(found) == 1
    assert found[0].filename == __file__
    likes = (ratings > 3).astype(float)
    compare_recommenders(models, likes, cv=2, scoring="ndcg@5")
    for scoring in (ranking_scorer("ndcg@5", relevance=4), rating_scorer()):
        compare_recommenders({"offsets": BiasBaseline()}, ratings, cv=2, scoring=scoring)


def test_plot_of_quality_against_time(ratings):
    plt = pytest.importorskip("matplotlib.pyplot")
    table = compare_recommenders(MODELS, ratings, cv=2, scoring=["ndcg@5", "coverage@5"])
    for metric in (None, "coverage@5"):
        ax = table.plot(metric)
        name = metric or "ndcg@5"
        rows = table["metric"] == name
        labels = [text.get_text() for text in ax.texts]
        assert labels == table["model"][rows].tolist()
        points = np.array([line.lines[0].get_xydata()[0] for line in ax.containers])
        assert_array_equal(points[:, 0], table["fit_time"][rows])
        assert_array_equal(points[:, 1], table["mean"][rows])
        assert ax.get_xscale() == "log"
        assert name in ax.get_ylabel()
        ends = np.array([bar.lines[2][0].get_segments()[0][:, 1] for bar in ax.containers])
        error = np.nan_to_num(table["standard_error"][rows])
        assert_allclose(np.ptp(ends, axis=1), 2 * error, atol=1e-12)
    _, axes = plt.subplots()
    assert table.plot(ax=axes) is axes
    with pytest.raises(ValueError, match=r"\['ndcg@5', 'coverage@5'\], got 'ndcg@10'"):
        table.plot("ndcg@10")
    plt.close("all")


def test_wrong_input(ratings):
    for wrong in ({}, [EASE()], EASE()):
        with pytest.raises(TypeError, match="estimators must be a non-empty dict of names"):
            compare_recommenders(wrong, ratings)
    with pytest.raises(TypeError, match="use names of metrics, .*ranking_scorer.*got <function"):
        compare_recommenders(MODELS, ratings, scoring=lambda model, X, y=None: 0.0)
    with pytest.raises(ValueError, match="Unknown metric 'neg_mean_squared_error'"):
        compare_recommenders(MODELS, ratings, scoring="neg_mean_squared_error")


class TextCounter(BiasBaseline):
    """Rates by how many texts it was given."""

    def fit(self, X, y=None, *, reviews=None):
        super().fit(X)
        self.n_texts_ = 0 if reviews is None else as_reviews(reviews, X, X).index.nnz
        return self

    def predict(self, X, *, reviews=None):
        n_texts = 0 if reviews is None else as_reviews(reviews, X, X).index.nnz
        return np.full(X.shape, 1e-3 * self.n_texts_ + 1e-5 * n_texts)


@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("given", ["all", "one"])
def test_reviews_are_cut_along_with_the_users(ratings, n_jobs, given):
    texts = [f"text {number}" for number in range(ratings.nnz)]
    reviews = Reviews.from_documents(ratings, texts)
    models = {"reader": TextCounter(), "other": TextCounter()}
    options = {"cv": 3, "scoring": rating_scorer(["neg_rmse", "neg_mae"]), "n_jobs": n_jobs}
    found = rows_of(
        compare_recommenders(
            models, ratings, reviews=reviews if given == "all" else {"reader": texts}, **options
        )
    )
    expected = {"reader": [], "other": []}
    for train, test in KFold(3, shuffle=True, random_state=0).split(ratings):
        for name in models:
            reads = name == "reader" or given == "all"
            fitted = {"reviews": reviews[train]} if reads else {}
            scored = {"reviews": reviews[test]} if reads else {}
            model = TextCounter().fit(ratings[train], **fitted)
            expected[name].append(rating_scorer("neg_mae")(model, ratings[test], **scored))
    for name, scores in expected.items():
        assert_allclose(found[name, "neg_mae"]["mean"], np.mean(scores))
    assert (expected["reader"] == expected["other"]) == (given == "all")


def test_reviews_that_no_model_gets_or_that_do_not_fit_are_refused(ratings):
    reviews = Reviews.from_documents(ratings, [""] * ratings.nnz)
    with pytest.raises(ValueError, match=r"of the names \['ease'\], but .*'popularity'"):
        compare_recommenders(MODELS, ratings, reviews={"ease": reviews})
    for wrong in (reviews[1:], {"EASE": reviews[1:]}):
        with pytest.raises(ValueError, match="not aligned with X: they are of 150 users"):
            compare_recommenders(MODELS, ratings, reviews=wrong)
    with pytest.raises(ValueError, match="Pipeline.fit does not accept the reviews") as failure:
        compare_recommenders(MODELS, ratings, reviews=reviews, cv=2)
    assert any("'likes'" in note for note in failure.value.__notes__)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_failure_of_a_model_is_raised_and_names_it(ratings, n_jobs):
    with pytest.raises(ValueError, match="'l2' parameter") as failure:
        models = {"good": EASE(), "bad one": EASE(l2=-1)}
        compare_recommenders(models, ratings, cv=2, n_jobs=n_jobs)
    assert any("'bad one'" in note for note in failure.value.__notes__)


def test_a_damaged_matrix_is_refused_before_its_rows_are_cut():
    X = sparse.csr_array(np.eye(60))
    X.indptr[30] = 2**30
    with pytest.raises(ValueError, match="X is damaged"):
        compare_recommenders({"a": Popularity()}, X, cv=2)
