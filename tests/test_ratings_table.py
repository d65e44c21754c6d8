"""The table of rating results has every rating model, and its page follows it."""

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from skrec._model_table import MODELS

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
PAGE = BENCHMARKS.parent / "docs" / "rating_results.rst"
if not BENCHMARKS.exists():
    pytest.skip("benchmarks are in a source checkout only", allow_module_level=True)
sys.path.insert(0, str(BENCHMARKS))
try:
    import rating_histories
    import rating_settings
    import rating_workers
    import ratings
    import ratings_page
    import ratings_table
finally:
    sys.path.remove(str(BENCHMARKS))


@pytest.fixture
def table():
    return json.loads(ratings_table.TABLE.read_text(encoding="utf-8"))


def test_every_rating_model_has_a_row():
    models = {name for name, row in MODELS.items() if row.reads == "ratings"}
    missing = models - {row.model for row in rating_settings.ROWS.values()}
    assert not missing, f"add a Row for {missing} to benchmarks/rating_settings.py"


@pytest.mark.parametrize("name", rating_settings.ROWS, ids=lambda name: name.replace(" ", "-"))
def test_a_row_names_parameters_peers_and_protocols_that_there_are(name):
    row = rating_settings.ROWS[name]
    model = rating_settings.estimator(name)  # refuses a parameter that the model has not
    assert type(model).__name__ == row.model
    assert model.__sklearn_tags__().recommender_tags.predicts_ratings
    assert not row.peer or row.peer in rating_workers.SURPRISE


def test_figures_are_those_of_the_present_settings(table):
    rows = {key: entry for key, entry in table.items() if "setting" in entry}
    assert rows
    for key, entry in rows.items():
        protocol, name = key.split(": ", 1)
        current = rating_settings.is_current(entry, name)
        assert current, f"measure again: ratings_table.py --data {protocol} --model {name!r}"


def test_page_follows_the_figures(table):
    assert PAGE.read_text(encoding="utf-8") == ratings_page.render(table), (
        "docs/rating_results.rst differs from the figures: "
        "python benchmarks/ratings_table.py --render"
    )


def entry(rmse, **changes):
    facts = {"cores": 2, "processor": "one", "python": "3.11", "versions": {}}
    figures = {"rmse": rmse, "mae": rmse, "fit": [1.5], "predict": [0.5]}
    common = {"figures": figures, "others": 0.0, "threads": None, "machine": facts}
    return {"setting": "A()", "features": [], "peak": 2**20, **common, **changes}


def test_page_sorts_by_error_and_says_what_is_missing_and_disturbed():
    page = ratings_page.render(
        {
            "ml-100k: BiasBaseline": entry([0.94, 0.96]),
            "ml-100k: PMF": entry([0.91, 0.91], others=1.5),
        }
    )
    assert page.index("* - PMF\n") < page.index("* - BiasBaseline\n")
    assert "     - 0.9500 ± 0.0141\n" in page
    assert page.count("1.5 s \\*") == 1
    assert "Not measured yet: ``RatingKNN, as KNNBasic``" in page


def test_the_same_folds_of_surprise_stand_beside():
    peer = entry([0.98], version="9.9", peak=[2**21])
    peer["figures"]["peak"] = [2**21, 2**22]
    page = ratings_page.render({"ml-100k: PMF": entry([0.91]), "ml-100k: Surprise SVD": peer})
    assert "     - Surprise SVD 9.9\n     - 0.9100 / 0.9800\n" in page
    assert "     - 2 s, 1.000\n     - 1 MiB / 4 MiB\n" in page


def test_features_of_users_that_were_not_there_are_marked():
    without = ratings_page.render({"ml-100k: MDACF": entry([0.91], features=["item_features"])})
    both = entry([0.91], features=["item_features", "user_features"])
    assert "* - MDACF \\+\n" in without
    assert "MDACF \\+" not in ratings_page.render({"ml-100k: MDACF": both})


@pytest.mark.parametrize(
    ("changes", "loaded", "measured"),
    [
        ({}, False, False),
        ({"others": 0.5}, False, False),
        ({"others": 0.5}, True, True),
        ({"setting": "PMF(l2=9)"}, False, True),
        ({"parameters": {"l2": "9.0"}}, False, True),
        ({"parameters": {"an_older_one": "9.0"}}, False, False),
    ],
)
def test_what_is_measured_again(changes, loaded, measured):
    table = {"ml-100k: PMF": entry([0.91], setting="PMF()") | changes}
    found = ratings_table.missing(table, "ml-100k", ["PMF"], False, loaded)
    assert found == (["PMF"] if measured else [])


def test_rows_of_features_are_not_measured_where_there_are_none():
    row = ["--model", "BayesianPMF, genres"]
    for script in (ratings, rating_histories):
        answer = CliRunner().invoke(script.main, row)
        assert answer.exit_code == 2
        assert "'BayesianPMF, genres' is not one of" in answer.output
    assert ratings_table.known_features("toy", ("user", "item")) == {}
