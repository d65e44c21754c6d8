"""`skrec fit`, and `skrec recommend` with what it has stored."""

import os
import shlex

import numpy as np
import pytest
import skops.io
from command_line import assert_refused, read_rows, run, run_json
from sklearn.linear_model import Ridge

from skrec import EASE
from skrec._cli import _stored
from skrec._model_table import MODELS

PMF = ("--model", "PMF", "--param", "n_components=3")


@pytest.fixture
def fit(write, tmp_path):
    def fit(*options, path=None, out="model.skops"):
        result = run("fit", path or write(), *options, "--out", tmp_path / out)
        assert result.exit_code == 0, result.stderr
        return tmp_path / out, result

    return fit


def test_a_stored_model_recommends_as_a_fresh_one(write, fit, ratings):
    options = ["--min-rating", 3, "--k", 4]
    path, result = fit("--min-rating", 3, "--param", "l2=20")
    expected = run("recommend", write(), *options, "--param", "l2=20").stdout
    assert run("recommend", write(), *options, "--model-file", path).stdout == expected
    said, command = result.stdout.splitlines()
    n_items = ratings.binarize(2.99).filter(min_users_per_item=1).shape[1]
    assert said.startswith(f"EASE(l2=20), fitted on 40 users and {n_items} items, is in {path} (")
    assert command.startswith("Recommend with it: skrec recommend ")
    assert f"--min-rating 3.0 --model-file {path}" in command or "--min-rating 3 --m" in command
    words = shlex.split(command.partition(": ")[2])[1:]
    assert run(*words, "--k", 4).stdout == expected


def test_the_model_knows_the_ids(fit, ratings):
    path, _ = fit("--param", "l2=20")
    model = skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))
    assert model.l2 == 20
    np.testing.assert_array_equal(model.feature_names_in_, ratings.item_ids)
    assert os.listdir(path.parent).count("model.skops") == 1


def test_models_of_ratings(write, fit):
    path, _ = fit(*PMF)
    expected = run_json("recommend", write(), *PMF, "--k", 3)
    found = run_json("recommend", write(), "--model-file", path, "--k", 3)
    assert found["model"] == "PMF"
    assert found["recommendations"] == expected["recommendations"]
    result = run("recommend", write(), "--model-file", path, "--min-rating", 3)
    assert_refused(result, "--model PMF", "--min-rating")


def test_new_users_and_unknown_items(write, fit, rows, ratings):
    path, _ = fit()
    new = [("new", item, 5) for item in (3, 1, "novel")] + [(7, "other", 1)]
    file = write("new.csv", rows=new, header=("user", "item", "rating"))
    result = run("recommend", file, "--model-file", path, "--k", 3)
    assert "2 of the 4 items in" in result.stderr and result.stderr.count("\n") == 1
    found = read_rows(result.stdout)
    X = ratings.binarize(0).X
    row = np.zeros((1, 25))
    row[0, [1, 3]] = 1
    expected = ratings.item_ids[EASE().fit(X).recommend(row, 3)[0]]
    # Ids match as they are written: here they are strings, in the model integers.
    assert [(r["user"], r["item"]) for r in found] == [("new", str(i)) for i in expected]
    result = run("recommend", file, "--model-file", path, "--user-id", 7)
    assert result.exit_code == 2 and result.stdout == ""
    assert "skrec: error: --user-id 7: this user has nothing to recommend from" in result.stderr


@pytest.mark.parametrize("name", MODELS)
def test_every_model_can_be_stored(name, ratings, tmp_path):
    row = MODELS[name]
    model = row.instance()
    if {"max_iter", "random_state"} <= model.get_params().keys():
        model.set_params(max_iter=2)
    reviews = {}
    if row.reads == "reviews":
        words = ["bitter tea", "sweet tea", "sweet jam"]
        reviews["reviews"] = [words[item % 3] for item in ratings.indices]
        from sklearn.feature_extraction.text import CountVectorizer

        model.set_params(vectorizer=CountVectorizer())
    data = ratings if row.reads != "choices" else ratings.binarize(0)
    model.fit(data, **reviews)
    _stored.store(model, tmp_path / "m.skops")
    again = _stored.load_model(tmp_path / "m.skops")
    np.testing.assert_allclose(again.predict(data), model.predict(data), rtol=1e-6)


def test_files_that_are_no_models(write, fit, tmp_path, ratings):
    path, _ = fit()
    whole = path.read_bytes()
    wrong = tmp_path / "wrong.skops"

    def refused(*parts):
        assert_refused(
            run("recommend", write(), "--model-file", wrong), f"--model-file {wrong}", *parts
        )

    for content in (b"", b"not a zip", whole[: len(whole) // 2], whole[:-30] + b"x" * 30):
        wrong.write_bytes(content)
        refused("cannot be read")
    skops.io.dump(Ridge().fit([[1], [2]], [1, 2]), wrong)
    refused("holds a Ridge")
    skops.io.dump(Foreign(), wrong)
    refused("Foreign, which skrec does not trust", "skrec fit")
    skops.io.dump(EASE(), wrong)
    refused("not fitted")
    skops.io.dump(EASE().fit(ratings.binarize(0).X), wrong)
    refused("knows no item ids")


class Foreign:
    def __init__(self):
        self.word = "hello"


def test_a_failed_write_is_one_line(write, tmp_path, monkeypatch):
    out = tmp_path / "model.skops"
    out.write_text("old")

    def replace(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", replace)
    assert_refused(run("fit", write(), "--out", out), "cannot write", "No space left")
    assert out.read_text() == "old"


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ([], ["--out"]),
        (["--out", "no/such/model.skops"], ["--out no/such/model.skops", "no such folder"]),
        (["--out", "m.skops", "--budget", 5], ["--budget", "--tune"]),
        (["--out", "m.skops", "--model", "DeepLTRS"], ["DeepLTRS", "--review"]),
        (["--out", "m.skops", "--min-rating", 6], ["nothing is rated 6 or more"]),
    ],
)
def test_wrong_option(write, options, parts):
    assert_refused(run("fit", write(), *options), *parts)


def test_a_fitted_model_takes_no_parameters(write, fit):
    path, _ = fit()
    options = ["--model", "EASE", "--param", "l2=5"]
    result = run("recommend", write(), "--model-file", path, *options)
    assert_refused(result, "--model-file", "leave out --model and --param")
