"""The command line, as a user meets it."""

import csv
import gzip
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pytest
from click.testing import CliRunner

import skrec
from skrec import EASE, Interactions
from skrec._cli import _table as table_module
from skrec._cli import cli

N_USERS, N_ITEMS = 40, 25


@pytest.fixture(scope="module")
def rows():
    """Tuples of user, item, rating, timestamp; every user has between 8 and 16 items."""
    rng = np.random.default_rng(0)
    rows = []
    for user in range(N_USERS):
        taste = np.where(np.arange(N_ITEMS) % 2 == user % 2, 4.0, 1.0)
        items = rng.choice(N_ITEMS, rng.integers(8, 17), replace=False, p=taste / taste.sum())
        rows += [
            (user + 100, int(item), float(rng.integers(1, 11) / 2), 1000 + len(rows))
            for item in items
        ]
    return rows


@pytest.fixture(scope="module")
def ratings(rows):
    users, items, values, timestamps = zip(*rows, strict=True)
    return Interactions.from_arrays(users, items, values, timestamps=timestamps)


@pytest.fixture
def write(tmp_path, rows):
    """Write rows under a name, in the format that the name says; returns the path."""

    def write(name="ratings.csv", rows=rows, header=("userId", "movieId", "rating", "timestamp")):
        path = tmp_path / name
        if name.endswith(".parquet"):
            columns = zip(*rows, strict=True)
            frame = pl.DataFrame(dict(zip(header, map(list, columns), strict=True)))
            frame.write_parquet(path)
            return path
        text = io.StringIO()
        delimiter = "\t" if ".tsv" in name else ","
        writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
        writer.writerows([header, *rows] if header else rows)
        content = text.getvalue().encode()
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return write


def run(*args):
    result = CliRunner().invoke(cli, [str(arg) for arg in args])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def run_process(*args, **kwargs):
    return subprocess.run(
        [sys.executable, "-m", "skrec", *map(str, args)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=environment(),
        **kwargs,
    )


def environment():
    root = str(Path(skrec.__file__).parents[1])
    return {**os.environ, "PYTHONPATH": root, "PYTHONIOENCODING": "utf-8"}


def run_json(*args):
    result = run(*args, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def assert_refused(result, *parts):
    """One line on standard error, exit code 2, nothing on standard output."""
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("skrec: error: ")
    assert result.stderr.count("\n") == 1 and result.stderr.endswith("\n")
    for part in parts:
        assert part in result.stderr


def read_rows(text):
    return list(csv.DictReader(io.StringIO(text)))


# --- reading files ---------------------------------------------------------------------------


def read(path, *, backend=None, monkeypatch=None, **options):
    if backend is not None:
        monkeypatch.setattr(table_module, "_FRAMES", (backend,))
    defaults = dict.fromkeys(("user", "item", "rating", "timestamp"))
    defaults |= {"header": True, "duplicates": "last"}
    return table_module.read_interactions(path, **{**defaults, **options})


@pytest.mark.parametrize("backend", ["polars", "pyarrow", "pandas"])
@pytest.mark.parametrize(
    "name", ["r.csv", "r.tsv", "r.txt", "r.csv.gz", "r.tsv.gz", "r.parquet", "R.CSV"]
)
def test_every_format_and_library_gives_the_same(write, ratings, name, backend, monkeypatch):
    data, has_ratings = read(write(name), backend=backend, monkeypatch=monkeypatch)
    assert has_ratings
    assert (data.X != ratings.X).nnz == 0
    np.testing.assert_array_equal(data.user_ids, ratings.user_ids)
    assert data.user_ids.dtype == data.item_ids.dtype == np.int64
    np.testing.assert_array_equal(data.timestamps, ratings.timestamps)


@pytest.mark.parametrize("backend", ["polars", "pyarrow", "pandas"])
def test_text_as_people_write_it(tmp_path, backend, monkeypatch):
    path = tmp_path / "r.csv"
    path.write_text(
        "\ufeffuser;item;rating;date\n"
        '007; "tea; black";4;2024-01-02\n'
        "\n"
        "007;jam;3.5;2024-01-03\n"
        "12;NA;5;2024-01-04\n"
        "007;jam;1;2024-01-01\n\n",
        encoding="utf-8",
    )
    path.write_text(path.read_text(encoding="utf-8").replace('; "', ';"'), encoding="utf-8")
    data, _ = read(path, backend=backend, monkeypatch=monkeypatch)
    assert data.user_ids.tolist() == ["007", "12"]
    assert data.item_ids.tolist() == ["NA", "jam", "tea; black"]
    np.testing.assert_array_equal(data.X.toarray(), [[0, 3.5, 4], [5, 0, 0]])
    assert data.timestamps.astype("datetime64[D]").astype(str).tolist() == [
        "2024-01-03",
        "2024-01-02",
        "2024-01-04",
    ]


@pytest.mark.parametrize("backend", ["polars", "pyarrow", "pandas"])
def test_ids_that_are_too_large_for_integers(tmp_path, backend, monkeypatch):
    path = tmp_path / "r.csv"
    path.write_text("user,item\n99999999999999999999,1\n3,2\n")
    data, _ = read(path, backend=backend, monkeypatch=monkeypatch)
    assert data.user_ids.tolist() == ["3", "99999999999999999999"]


# What separates the columns: not what stands in the first line by chance.
SEPARATED = {
    "comma in a name": ("r.csv", "user;item;rating, stars\n1;2;3\n2;2;4\n"),
    "comma in a quoted name": ("r.csv", '"user, id";"item";"rating"\n1;2;3\n2;2;4\n'),
    "decimal commas": ("r.csv", "user;item;rating\n1;2;3,5\n2;2;4,0\n"),
    "commas in tabs": ("r.csv", "user\titem\ta, b\n1\t2\tx\n2\t2\ty\n"),
    "semicolons in commas": ("r.csv", "user,item,a;b\n1,2,x\n2,2,y\n"),
    "spaces behind commas": ("r.txt", "user, item, rating\n1, 2, 3\n2, 2, 4\n"),
    "spaces in tabs": ("r.txt", "user\titem\ta time\n1\t2\tnow\n2\t2\tthen\n"),
    "spaces": ("r.txt", "user item rating\n1 2 3\n2 2 4\n"),
    "line feeds in quotes": ("r.csv", 'user;item;a, b\n1;2;"x\n, y"\n\n2;2;"y"\n'),
}


@pytest.mark.parametrize("backend", ["polars", "pyarrow", "pandas"])
@pytest.mark.parametrize("case", SEPARATED)
def test_what_separates_the_columns(tmp_path, monkeypatch, backend, case):
    name, content = SEPARATED[case]
    path = tmp_path / name
    path.write_text(content)
    data, _ = read(path, backend=backend, monkeypatch=monkeypatch, user=None)
    assert (data.user_ids.tolist(), data.item_ids.tolist()) == ([1, 2], [2])


AMBIGUOUS = "user;item;rating, stars\n" + "".join(f"{user};1;3,5\n" for user in range(9))


def test_columns_that_could_be_separated_in_two_ways(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text(AMBIGUOUS)
    for command in ("evaluate", "recommend"):
        assert_refused(run(command, path), "by comma or by semicolon", "--separator")
    for separator in ("semicolon", ";"):
        answer = run_json("recommend", path, "--separator", separator)
        assert len(answer["recommendations"]) == 9
    path.write_text(AMBIGUOUS.replace(";", "|").replace(",", "."))
    assert_refused(run("evaluate", path), "no comma or semicolon or tab", "--separator")
    assert len(run_json("recommend", path, "--separator", "|")["recommendations"]) == 9
    assert_refused(run("evaluate", path, "--separator", ","), "no comma between a user and an")


@pytest.mark.parametrize("separator", ["", "||", "x", '"', "\n", "§", "comm"])
def test_wrong_separator(write, separator):
    assert_refused(run("evaluate", write(), "--separator", separator), "--separator", "one ASCII")


def test_no_separator_for_parquet(write):
    assert_refused(run("evaluate", write("r.parquet"), "--separator", ","), "no --separator")


@pytest.mark.parametrize("backend", ["polars", "pyarrow", "pandas"])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("header", "last", "said"),
    [
        ("user,item,rating,date", "2,1,3,soon", "column 'date' holds 'soon' ({}), which is no ti"),
        ("user,item,rating,date", "2,1,3,", "the timestamp is missing in 1 rows, the first of {}"),
        ("user,item,rating,date", "2,1,good,4", "column 'rating' holds 'good' ({}), which is not"),
        ("user,item,rating,date", "2,1,,4", "the rating is missing in 1 rows, the first of {}"),
        ("user,item,rating,date", "2,1,1e300,4", "column 'rating' holds '1e300' ({}), which is n"),
        ("user,item,rating,date", "2,1,nan,4", "column 'rating' holds 'nan' ({}), which is not f"),
        ("a,b,c,d", "2,1,3,soon", "column 'd' holds 'soon' ({}), which is no timestamp"),
    ],
)
def test_columns_that_nothing_needs(tmp_path, monkeypatch, backend, suffix, header, last, said):
    monkeypatch.setattr(table_module, "_FRAMES", (backend,))
    lines = [header, "1,1,2,3", "1,2,4,5", "", last]
    path = tmp_path / f"r.{suffix}"
    if suffix == "csv":
        path.write_text("\n".join(lines))
        place = "line 5"
    else:
        rows = [line.split(",") for line in lines[1:] if line]
        pl.DataFrame(rows, header.split(","), orient="row").write_parquet(path)
        place = "row 3"
    said = said.format(place if "missing" not in said else f"them {place}")
    result = run("recommend", path)
    assert result.exit_code == 0
    assert [(row["user"], row["item"]) for row in read_rows(result.stdout)] == [("2", "2")]
    assert result.stderr.startswith("skrec: note: ") and result.stderr.count("\n") == 1
    assert said in result.stderr and "is left out" in result.stderr
    # What is asked for by an option is needed.
    role = "timestamp" if "rating" not in said else "rating"
    column = header.split(",")[3 if role == "timestamp" else 2]
    columns = ("--user", header.split(",")[0], "--item", header.split(",")[1])
    assert_refused(run("recommend", path, *columns, f"--{role}", column), said)
    if role == "rating":
        assert_refused(run("recommend", path, "--min-rating", 1), said)
    else:
        assert run("recommend", path, "--min-rating", 1).exit_code == 0


@pytest.mark.parametrize("backend", ["polars", "pyarrow", "pandas"])
@pytest.mark.parametrize("odd", ["x" * 200_000, "a\rb"])
def test_a_gap_behind_what_python_cannot_read(tmp_path, monkeypatch, backend, odd):
    monkeypatch.setattr(table_module, "_FRAMES", (backend,))
    path = tmp_path / "r.csv"
    path.write_bytes(f"user,item,a\n1,2,{odd}\n1,,b\n".encode())
    assert_refused(run("recommend", path, "--separator", "comma"), "r.csv: ", "line 2")


def test_timestamps_that_decide(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("user,item,rating,date\n1,1,5,2024-01-02\n1,1,1,soon\n2,2,5,2024-01-01\n")
    options = ("recommend", path, "--min-rating", 4)
    assert_refused(run(*options), "'soon' (line 3)", "latest of several", "--duplicates")
    for rule in ("max", "mean", "sum"):
        assert run(*options, "--duplicates", rule).exit_code == 0
    # Without --min-rating, any rating counts the same.
    assert run("recommend", path).exit_code == 0


@pytest.mark.parametrize("backend", ["polars", "pyarrow", "pandas"])
def test_file_without_header(write, ratings, backend, monkeypatch):
    path = write("u.tsv", header=None)
    data, _ = read(path, backend=backend, monkeypatch=monkeypatch, header=False)
    assert (data.X != ratings.X).nnz == 0
    swapped, has_ratings = read(path, header=False, user="2", item="1")
    assert not has_ratings
    assert (swapped.X != (ratings.X > 0).T).nnz == 0


def test_parquet_keeps_its_types(tmp_path):
    frame = pd.DataFrame(
        {
            "user": pd.Series(["a", "b", "a"], dtype="category"),
            "item": ["01", "1", "1"],
            "rating": ["1", "2", "3"],
            "time": pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03"]),
        }
    )
    frame.to_parquet(tmp_path / "r.parquet")
    data, _ = read(tmp_path / "r.parquet")
    assert data.user_ids.tolist() == ["a", "b"] and data.item_ids.tolist() == ["01", "1"]
    np.testing.assert_array_equal(data.X.toarray(), [[1, 3], [0, 2]])
    assert data.timestamps.dtype.kind == "M"


@pytest.mark.parametrize(
    ("names", "wanted", "chosen"),
    [
        ("userId movieId rating timestamp", {}, "0123"),
        ("rating Item-ID junk USER_ID", {}, "310"),
        ("a b c d e", {}, "0123"),
        ("a b", {}, "01"),
        ("a b c", {"rating": "a"}, "120"),
        ("user item a b", {}, "01"),
        ("a b c", {"user": "c", "item": "a"}, "20"),
        ("item user", {"user": "item", "item": "user"}, "01"),
    ],
)
def test_which_columns_are_taken(names, wanted, chosen):
    wanted = {**dict.fromkeys(("user", "item", "rating", "timestamp")), **wanted}
    found = table_module._choose_columns("f.csv", names.split(), wanted)
    assert "".join(map(str, found.values())) == chosen
    assert list(found)[:2] == ["user", "item"]


@pytest.mark.parametrize(
    ("name", "content", "parts"),
    [
        ("empty.csv", b"", ["is empty"]),
        ("rubbish.csv", b"\x00\x01\x02,\xff\n", ["cannot be read"]),
        ("zeros.csv", b"a,b\x00\n1,2\n", ["not a text file"]),
        ("latin.csv", "user,item\n1,1\nJos\xe9,1\n".encode("latin-1"), ["read: line 3: 'utf-8'"]),
        ("rubbish.parquet", b"PAR1 not really", ["cannot be read"]),
        ("rubbish.csv.gz", b"user,item\n1,2\n", ["cannot be read"]),
        ("cut.csv.gz", gzip.compress(b"u,i\n1,2\n" * 9999, mtime=0)[:-20], ["cannot be read"]),
        ("r.xlsx", b"user,item\n", [".csv, .tsv, .txt (each also with .gz) or .parquet"]),
        ("r.gz", b"user,item\n", ["must end in"]),
        ("one.csv", b"user\n1\n", ["no comma or semicolon or tab between a user and an item"]),
        ("head.csv", b"user,item,date\n\n", ["head.csv", "the table has no rows"]),
        ("head.txt", b"user\titem\n", ["head.txt", "the table has no rows"]),
        ("ragged.csv", b"user,item\n1,2\n3,4,5\n", ["cannot be read", "line 3 has 3 fields"]),
        ("late.csv", b"user,item\n" + 300 * b'1,"2\n"\n' + b"1,2,3\n", ["line 602 has 3 fields"]),
        ("top.csv", b"\nuser,item\n1,2\n", ["its first line must hold the names"]),
        ("bare.csv", b"1,2,4.5\n1,3,4\n", ["the number 1", "--no-header"]),
        ("gap.csv", b"user,item\n1,2\n\n,4\n", ["the user is missing in 1 rows", "line 4"]),
        ("short.csv", b"user,item,rating\n1,2,3\n1,4\n", ["line 3 has 2 fields", "line 1 has 3"]),
        ("third.csv", b"a,b,c\n1,2,3\n1,4,good\n", ["'c'", "'good' (line 3)", "--rating"]),
        ("cr.csv", b"user,item\r1,2\r", ["carriage returns"]),
        ("which.csv", b"user,x,y\n1,2,3\n", ["--item", "'user', 'x', 'y'"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("backend", ["polars", "pyarrow", "pandas"])
def test_wrong_file(tmp_path, monkeypatch, name, content, parts, backend):
    monkeypatch.setattr(table_module, "_FRAMES", (backend,))
    path = tmp_path / name
    path.write_bytes(content)
    for command in ("evaluate", "recommend"):
        assert_refused(run(command, path), name, *parts)


def test_wrong_path(tmp_path):
    for command in ("evaluate", "recommend"):
        assert_refused(run(command, tmp_path / "none.csv"), "none.csv", "does not exist")
        assert_refused(run(command, tmp_path), "is a directory")
        assert_refused(run(command), "Missing argument 'FILE'")


def test_more_columns_in_every_row_than_names(tmp_path, monkeypatch):
    path = tmp_path / "wide.csv"
    path.write_text("user,item\n1,2,3\n1,3,4\n")
    for backend in ("polars", "pyarrow", "pandas"):
        monkeypatch.setattr(table_module, "_FRAMES", (backend,))
        assert_refused(run("evaluate", path), "wide.csv: cannot be read")


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--user", "nobody"], ["--user nobody", "'userId', 'movieId', 'rating', 'timestamp'"]),
        (["--user", "rating", "--item", "rating"], ["different columns"]),
        (["--user", "userId", "--item", "movieId", "--rating", "x"], ["--rating x"]),
    ],
)
def test_wrong_column(write, options, parts):
    for command in ("evaluate", "recommend"):
        assert_refused(run(command, write(), *options), *parts)


def test_column_named_twice(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("user,x,x\n1,2,3\n")
    assert_refused(run("evaluate", path, "--item", "x"), "several columns")
    path.write_text("user,user,item\n1,2,3\n")
    assert_refused(run("evaluate", path), "several columns", "rename all but one")


def test_duplicates(write, rows):
    twice = [*rows, (*rows[0][:2], 0.5, 1)]
    path = write(rows=twice)
    assert_refused(run("evaluate", path, "--duplicates", "error"), "1 pairs of user and item")
    for rule in ("last", "sum", "mean", "max"):
        data, _ = read(path, duplicates=rule)
        stars = {"last": rows[0][2], "max": rows[0][2], "sum": rows[0][2] + 0.5}
        stars["mean"] = stars["sum"] / 2
        value = data.X[0, data.item_ids.tolist().index(rows[0][1])]
        assert value == pytest.approx(stars[rule])


def test_needs_a_data_frame_library(write):
    code = (
        "import sys; sys.modules.update(polars=None, pandas=None, pyarrow=None)\n"
        "from skrec.__main__ import main; main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, "evaluate", str(write())],
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert result.returncode == 2 and result.stdout == ""
    assert result.stderr.count("\n") == 1 and 'pip install "skrec[frames]"' in result.stderr


def test_parquet_that_the_library_cannot_read(write, monkeypatch):
    def read_parquet(*args, **kwargs):
        raise ImportError("pandas needs pyarrow")

    monkeypatch.setattr(nw, "read_parquet", read_parquet)
    assert_refused(run("evaluate", write("r.parquet")), 'pip install "skrec[frames]"')


def test_programming_errors_are_not_hidden(write, monkeypatch):
    def fit(self, X, y=None):
        raise RuntimeError("a bug")

    monkeypatch.setattr(EASE, "fit", fit)
    with pytest.raises(RuntimeError, match="a bug"):
        run("recommend", write())


@pytest.mark.parametrize("command", ["evaluate", "recommend"])
def test_what_a_model_refuses_is_one_line(write, monkeypatch, command):
    def fit(self, X, y=None):
        raise ValueError("X has too many items: 25. Leave some out.")

    monkeypatch.setattr(EASE, "fit", fit)
    assert_refused(run(command, write()), "X has too many items: 25. Leave some out.")


def test_too_little_memory_is_one_line(write, monkeypatch):
    def fit(self, X, y=None):
        raise MemoryError("EASE needs 99 GiB")

    monkeypatch.setattr(EASE, "fit", fit)
    result = run("recommend", write())
    assert result.exit_code == 1
    assert result.stderr == "skrec: error: not enough memory. EASE needs 99 GiB\n"
