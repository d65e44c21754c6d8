"""`skrec demo`: the main job."""

import dataclasses
import json
import re

import numpy as np
import pytest
from command_line import run, run_json, run_process

from skrec import EASE, Interactions
from skrec._cli._demo import _quickest_of_the_best, reasons
from skrec._model_table import MODELS
from skrec.datasets import load_movielens_small


@pytest.fixture(scope="module")
def main_job():
    """What the demo answers; but for the models that take long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skrec._cli._demo.RANKERS", ("Popularity", "EASE"))
        patch.setattr("skrec._cli._demo.RATERS", ("BiasBaseline", "PMF"))
        grid = {"l2": [100, 500], "dropout": [0, 0.6]}
        patch.setitem(MODELS, "EASE", dataclasses.replace(MODELS["EASE"], search=grid))
        return run_json("demo")


def test_main_job_recommends_unseen_movies_for_reasons_in_the_history(main_job):
    ratings = load_movielens_small()
    row = ratings.user_ids.tolist().index(main_job["user"])
    seen = dict(
        zip(
            ratings.item_ids[ratings.X[[row]].indices].tolist(),
            ratings.X[[row]].data.tolist(),
            strict=True,
        )
    )
    history = {movie["item"]: movie["rating"] for movie in main_job["history"]}
    assert history == {item: stars for item, stars in seen.items() if stars >= 4}
    recommended = main_job["recommendations"]
    assert [movie["rank"] for movie in recommended] == list(range(1, 11))
    assert not {movie["item"] for movie in recommended} & set(seen)
    assert len({movie["title"] for movie in recommended}) == 10
    scores = [movie["score"] for movie in recommended]
    assert scores == sorted(scores, reverse=True)
    for movie in recommended:
        assert 2 <= len(movie["because"]) <= 3
        shares = [reason["share"] for reason in movie["because"]]
        assert shares == sorted(shares, reverse=True) and 0 < sum(shares) <= 1
        assert {reason["item"] for reason in movie["because"]} <= set(history)


def test_main_job_holds_its_user_out(main_job):
    ratings = load_movielens_small()
    liked = ratings.binarize(3.5).filter(min_users_per_item=1, min_items_per_user=5)
    others = liked.user_ids != main_job["user"]
    X = liked.X[others]
    assert main_job["data"]["evaluated"]["n_users"] == X.shape[0] == liked.X.shape[0] - 1
    search = main_job["search"]
    model = EASE(**search["best_params"]).fit(X)
    seen = ratings.X[[ratings.user_ids.tolist().index(main_job["user"])]].indices
    unseen = ~np.isin(liked.item_ids, ratings.item_ids[seen])
    expected = model.recommend(liked.X[~others], 10, items=unseen)[0]
    assert [movie["item"] for movie in main_job["recommendations"]] == liked.item_ids[
        expected
    ].tolist()


@pytest.mark.slow
def test_the_whole_main_job():
    result = run_process("demo", "--json")
    assert result.returncode == 0 and result.stderr == ""
    answer = json.loads(result.stdout)
    names = {row["model"] for row in answer["comparison"]}
    assert len(names) >= 8
    kinds = {"calibration" if MODELS[name].calibration else MODELS[name].room for name in names}
    assert kinds >= {"calibration", "linear", "neighbors", "factorization", "autoencoders"}
    errors = {r["model"]: -r["mean"] for r in answer["comparison"] if r["metric"] == "neg_rmse"}
    assert errors["AutoRec"] < errors["PMF"] < errors["BiasBaseline"] < 0.9
    assert answer["search"]["model"] == "EASE"  # others are as good, but take longer


def test_main_job_tunes(main_job):
    rows = {r["model"]: r for r in main_job["comparison"] if r["metric"] == "ndcg@100"}
    assert main_job["search"]["model"] == "EASE"
    assert rows["Popularity"]["mean"] < 0.25 < 0.32 < rows["EASE"]["mean"]
    assert 0.34 < main_job["search"]["best_score"] < 0.4


def test_the_quickest_of_the_models_that_are_not_clearly_worse():
    def comparison(*rows):
        names = ("model", "metric", "mean", "p_value", "fit_time")
        columns = zip(names, zip(*rows, strict=True), strict=True)
        return {name: np.array(column) for name, column in columns}

    rows = [
        ("a", "ndcg@100", 0.4, np.nan, 9.0),
        ("b", "ndcg@100", 0.39, 0.2, 3.0),
        ("c", "ndcg@100", 0.2, 0.01, 1.0),
        ("c", "recall@20", 0.2, np.nan, 1.0),
    ]
    assert _quickest_of_the_best(comparison(*rows)) == "b"
    assert _quickest_of_the_best(comparison(rows[0], *rows[2:])) == "a"


@pytest.fixture
def quick(monkeypatch):
    """The other tests look at what all models and the whole grid find."""

    def quick(*rankers):
        monkeypatch.setattr("skrec._cli._demo.RANKERS", rankers)
        monkeypatch.setattr("skrec._cli._demo.RATERS", ("BiasBaseline",))
        few = dataclasses.replace(MODELS["EASE"], search={"l2": [100]})
        monkeypatch.setitem(MODELS, "EASE", few)

    return quick


@pytest.mark.parametrize("words", [[], ["demo"]], ids=["plain", "demo"])
def test_main_job_prints_text(quick, words):
    quick("EASE", "Popularity")
    result = run(*words)
    assert result.exit_code == 0 and result.stderr == ""
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) < 100
    assert lines[0] == ("MovieLens latest-small: 100,836 ratings of 9,724 movies by 610 users.")
    assert "p value" in result.stdout and "rmse" in result.stdout
    assert re.search(r"best: l2=100, mean ndcg@100 0\.\d{4} over all folds", result.stdout)
    assert len(re.findall(r"^ +\d+\. \w", result.stdout, re.MULTILINE)) == 10
    assert result.stdout.count("because of: ") == 10


def test_main_job_with_a_winner_that_explains_nothing(quick):
    quick("Popularity")
    result = run()
    assert "Popularity\nis the quickest, and has nothing to tune: mean ndcg@100 0.2" in (
        result.stdout
    )
    assert result.stdout.count("because many like it") == 10


def test_reasons_are_shares_of_what_speaks_for_an_item():
    rng = np.random.default_rng(0)
    X = Interactions.from_arrays(*np.nonzero(rng.random((60, 12)) < 0.4)).X
    model = EASE(l2=5).fit(X)
    row = X[[0]]
    items = model.recommend(row, 3)[0]
    (contributions,) = model.explain(row, items)
    dense = contributions.toarray()
    assert (dense < 0).any()
    for line, found in zip(dense, reasons(model, row, items, n_reasons=2), strict=True):
        best = np.argsort(-line)[:2]
        assert [item for item, _ in found] == best.tolist()
        shares = line[best] / line[line > 0].sum()
        assert [share for _, share in found] == pytest.approx(shares, rel=1e-5)
