"""The table of models names every public estimator, and every list of models follows it."""

import inspect
import subprocess
import sys

import pytest
from sklearn.model_selection import ParameterGrid

import skrec
from skrec import BaseRecommender
from skrec._model_table import MODELS, PACKAGE, model_lists
from skrec.utils.estimator_checks import check_predict_shape_and_type


def test_every_public_estimator_has_a_row():
    public = {
        name
        for name in skrec.__all__
        if inspect.isclass(getattr(skrec, name))
        and issubclass(getattr(skrec, name), BaseRecommender)
        and not getattr(skrec, name).__module__.startswith("skrec.ensemble.")  # made of models
    }
    missing = public - {"BaseRecommender"} - set(skrec.ensemble.__all__) - MODELS.keys()
    assert not missing, f"add a ModelRow for {missing} to skrec/_model_table.py"
    assert MODELS.keys() <= public, "python -m skrec._model_table writes the exports"


def _short_name(path):
    """The path below the package or the project's root, whatever that folder is called."""
    root = PACKAGE if path.is_relative_to(PACKAGE) else PACKAGE.parent
    return path.relative_to(root).as_posix()


@pytest.mark.parametrize("path", model_lists(), ids=_short_name)
def test_lists_of_models_follow_the_table(path):
    found, expected = path.read_text().splitlines(), model_lists()[path].splitlines()
    to_add = [line for line in expected if line not in found]
    to_remove = [line for line in found if line not in expected]
    assert found == expected, (
        f"{path.name} differs from skrec/_model_table.py: `python -m skrec._model_table` "
        f"adds {to_add} and removes {to_remove}"
    )


@pytest.mark.parametrize("row", MODELS.values(), ids=lambda row: row.name)
def test_a_row_fits_its_model(row):
    model = row.load()
    assert model.__module__ == f"skrec.{row.module}"
    assert row.reads in ("choices", "ratings", "reviews")
    tags = row.instance().__sklearn_tags__().recommender_tags
    assert tags.predicts_ratings == (row.reads != "choices")
    assert tags.reads_reviews or row.reads != "reviews"
    assert tags.personalized or row.calibration
    for variant in row.variants:
        assert repr(row.instance(variant)) != repr(row.instance())


@pytest.mark.parametrize("row", MODELS.values(), ids=lambda row: row.name)
def test_a_search_names_valid_parameters(row):
    for name, values in row.search.items():  # a change of one parameter at a time tells enough
        for parameters in ParameterGrid({name: values}):
            check_predict_shape_and_type(row.instance(**parameters))


def test_the_table_imports_no_model():
    rows = "from skrec._model_table import MODELS"
    code = f"{rows}; import sys; print([n for n in sys.modules if n in ('torch', 'skrec.linear')])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.stdout.strip() == "[]", found.stderr
