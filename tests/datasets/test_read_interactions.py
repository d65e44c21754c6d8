"""Files of ratings as people have them: read right, or refused in one line."""

import codecs
import csv
import gzip
import io
import json
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest

from skrec import Interactions
from skrec.datasets import _read_interactions, read_interactions

HEADER = ("userId", "movieId", "rating", "timestamp")
ROWS = [(103, 7, 4.5, 1002), (101, 7, 0.5, 1000), (101, 12, 3.0, 1003), (102, 1, 5.0, 1001)]
RATINGS = Interactions.from_arrays(
    [row[0] for row in ROWS],
    [row[1] for row in ROWS],
    [row[2] for row in ROWS],
    timestamps=[row[3] for row in ROWS],
)


@pytest.fixture
def write(tmp_path):
    """Write a file of this content; returns its path."""

    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def table(separator, header=HEADER, end="\n"):
    if separator == "::":
        return table("\x1f", header, end).replace(b"\x1f", b"::")
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator=end)
    writer.writerows([header, *ROWS] if header else ROWS)
    return text.getvalue().encode()


def json_lines(rows=ROWS, header=HEADER):
    return "\n".join(json.dumps(dict(zip(header, row, strict=True))) for row in rows).encode()


def check(data, expected=RATINGS):
    assert (data.X != expected.X).nnz == 0
    np.testing.assert_array_equal(data.user_ids, expected.user_ids)
    np.testing.assert_array_equal(data.item_ids, expected.item_ids)
    assert data.user_ids.dtype == data.item_ids.dtype == np.int64
    np.testing.assert_array_equal(data.timestamps, expected.timestamps)


FORMATS = {
    "r.csv": table(","),
    "R.CSV": table(","),
    "semicolons.csv": table(";"),
    "tabs.csv": table("\t"),
    "r.tsv": table("\t"),
    "r.txt": table(" "),
    "r.dat": table("::"),
    "ratings.dat": table("::", header=None),
    "u.data": table("\t", header=None),
    "bare.csv": table(",", header=None),
    "dos.csv": table(";", end="\r\n"),
    "mac.csv": table(";", end="\r"),
    "mark.csv": codecs.BOM_UTF8 + table(";", end="\r\n"),
    "excel.txt": table("\t", end="\r\n").decode().encode("utf-16"),
    "r.jsonl": json_lines(),
    "r.ndjson": json_lines().replace(b"\n", b"\r\n\r\n") + b"\n",
    "r.json": json_lines(),
}


@pytest.mark.parametrize("is_packed", [False, True], ids=["plain", "gz"])
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same(write, name, is_packed):
    content = FORMATS[name]
    path = write(name + ".gz", gzip.compress(content)) if is_packed else write(name, content)
    check(read_interactions(path))
    check(read_interactions(str(path)))


def test_parquet_keeps_its_types(tmp_path):
    frame = pd.DataFrame(
        {
            "user": pd.Series(["a", "b", "a"], dtype="category"),
            "item": ["1", "12", "12"],
            "rating": ["1", "2", "3"],
            "time": pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03"]),
        }
    )
    frame.to_parquet(tmp_path / "r.parquet")
    data = read_interactions(tmp_path / "r.parquet")
    assert data.user_ids.tolist() == ["a", "b"] and data.item_ids.tolist() == ["1", "12"]
    np.testing.assert_array_equal(data.X.toarray(), [[1, 3], [0, 2]])
    assert data.timestamps.dtype.kind == "M"
    pl.DataFrame(ROWS, HEADER, orient="row").write_parquet(tmp_path / "r.parquet")
    check(read_interactions(tmp_path / "r.parquet"))


def test_text_as_people_write_it(write):
    path = write(
        "r.csv",
        "\ufeffuser;item;rating;date\n"
        '007;"tea; black";4;2024-01-02\n'
        "\n"
        "007;jam;3.5;2024-01-03\n"
        "12;NA;5;2024-01-04\n"
        "007;jam;1;2024-01-01\n\n",
    )
    data = read_interactions(path, duplicates="last")
    assert data.user_ids.tolist() == ["007", "12"]
    assert data.item_ids.tolist() == ["NA", "jam", "tea; black"]
    np.testing.assert_array_equal(data.X.toarray(), [[0, 3.5, 4], [5, 0, 0]])
    assert data.timestamps.astype("datetime64[D]").astype(str).tolist() == [
        "2024-01-03",
        "2024-01-02",
        "2024-01-04",
    ]


def test_quoted_commas_and_line_breaks(write):
    path = write(
        "r.csv",
        'user,item,review,rating\n"Doe, Jane",1,"good,\nreally ""good""",4\nBob,2,,5\n',
    )
    data = read_interactions(path)
    assert data.user_ids.tolist() == ["Bob", "Doe, Jane"]
    assert data.reviews.tolist() == ["", 'good,\nreally "good"']
    # The same with the line breaks of Windows; a text keeps those it has.
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_interactions(path).reviews.tolist() == ["", 'good,\r\nreally "good"']
    path.write_text(path.read_text() + '"x\ny",3,"z\n",bad\n')
    with pytest.warns(UserWarning, match=r"'bad' \(line 5\)"):
        assert (read_interactions(path).X.data == 1).all()


@pytest.mark.parametrize(
    ("users", "expected"),
    [
        (["3", "99999999999999999999"], ["3", "99999999999999999999"]),
        (["007", "12"], ["007", "12"]),
        (["1.0", "2.0"], ["1.0", "2.0"]),
        (["-7", "12"], [-7, 12]),
        (["+5", "6"], ["+5", "6"]),
        (["B07", "12"], ["12", "B07"]),
    ],
)
def test_ids_are_integers_if_all_are_written_so(write, users, expected):
    path = write("r.csv", f"user,item\n{users[0]},1\n{users[1]},2\n")
    assert read_interactions(path).user_ids.tolist() == expected


def test_ids_in_json_keep_their_types(write):
    for ids, expected in [
        ('"12" "7"', ["12", "7"]),
        ("12 7", [7, 12]),
        ('12 "7"', ["12", "7"]),
        (f"{10**20} 7", [str(10**20), "7"]),
    ]:
        first, second = ids.split()
        path = write("r.jsonl", f'{{"user":{first},"item":1}}\n{{"user":{second},"item":2}}\n')
        assert read_interactions(path).user_ids.tolist() == expected


def test_amazon_reviews(write):
    line = {
        "reviewerID": "A2",
        "asin": "0001384719",
        "helpful": [0, 1],
        "reviewText": "später\nbesser",
        "overall": 5.0,
        "unixReviewTime": 1393545600,
        "reviewTime": "02 28, 2014",
    }
    other = {**line, "asin": "B00", "overall": 2.0} | {"vote": 3}
    del other["reviewText"]
    content = "\n".join(map(json.dumps, (line, other)))
    data = read_interactions(write("Music_5.json.gz", gzip.compress(content.encode())))
    assert data.item_ids.tolist() == ["0001384719", "B00"]
    assert data.reviews.tolist() == ["später\nbesser", ""]
    assert data.X.data.tolist() == [5, 2] and data.timestamps.tolist() == [1393545600] * 2


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("comma in a name.csv", "user;item;rating, stars\n1;2;3\n2;2;4\n"),
        ("comma in a quoted name.csv", '"user, id";"item";"rating"\n1;2;3\n2;2;4\n'),
        ("decimal commas.csv", "user;item;rating\n1;2;3,5\n2;2;4,0\n"),
        ("commas in tabs.csv", "user\titem\ta, b\n1\t2\tx\n2\t2\ty\n"),
        ("semicolons in commas.csv", "user,item,a;b\n1,2,x\n2,2,y\n"),
        ("spaces behind commas.txt", "user, item, rating\n1, 2, 3\n2, 2, 4\n"),
        ("spaces in tabs.txt", "user\titem\ta time\n1\t2\tnow\n2\t2\tthen\n"),
        ("spaces.txt", "user item rating\n1 2 3\n2 2 4\n"),
        ("line feeds in quotes.csv", 'user;item;a, b\n1;2;"x\n, y"\n\n2;2;"y"\n'),
        ("colons in names.dat", "user::item::a:b\n1::2::x:y z\n2::2::z y\n"),
    ],
    ids=lambda value: value.split(".")[0] if "\n" not in value else "",
)
def test_what_separates_the_columns(write, name, content):
    # Not what stands in the first line by chance.
    data = read_interactions(write(name, content), item="item" if "item" in content else None)
    assert (data.user_ids.tolist(), data.item_ids.tolist()) == ([1, 2], [2])


def test_columns_that_could_be_separated_in_two_ways(write):
    ambiguous = "user;item;rating, stars\n" + "".join(f"{user};1;3,5\n" for user in range(9))
    path = write("r.csv", ambiguous)
    with pytest.raises(ValueError, match="by comma or by semicolon; say by which with separator="):
        read_interactions(path)
    for separator in ("semicolon", ";"):
        data = read_interactions(path, separator=separator, rating="rating, stars")
        assert data.X.sum() == 9 * 3.5
    path = write("r.csv", ambiguous.replace(";", "|").replace(",", "."))
    with pytest.raises(ValueError, match="no comma or semicolon or tab .* with separator="):
        read_interactions(path)
    assert read_interactions(path, separator="|").X.shape == (9, 1)
    with pytest.raises(ValueError, match="no comma between a user and an item"):
        read_interactions(path, separator=",")


@pytest.mark.parametrize(
    ("content", "n_rows"),
    [
        ("1,2\n3,4\n5,6\n", 3),
        ("1,2,4.5\n", 1),
        ("A2,B3,5.0,2014-01-02\nA3,B3,4.0,2014-01-03\n", 2),
        ("ann,7\nbob,7\n", 2),
        ("a,b\n3,4\n5,6\n", 2),
        ("who,what,when\nann,tea,2014-01-02\n", 1),
        ("user,item\nann,tea\n", 1),
        ("item,user\n", None),
    ],
)
def test_whether_the_first_line_names_the_columns(write, content, n_rows):
    path = write("r.csv", content)
    if n_rows is None:
        with pytest.raises(ValueError, match="no rows"):
            read_interactions(path)
    else:
        assert read_interactions(path).X.nnz == n_rows


@pytest.mark.parametrize(
    "content", ["ann,tea\nbob,jam\n", "1,2,4.5\n3,4,good\n", "u,7,8\n1,2,3\n"]
)
def test_a_first_line_that_may_be_either(write, content):
    path = write("r.csv", content)
    with pytest.raises(ValueError, match=r"first line, .* if it does, say header=True, otherwise"):
        read_interactions(path)
    for header in (True, False):
        # Named by position, so that a first row among the names is one.
        names = content.partition("\n")[0].split(",") if header else ["1", "2"]
        data = read_interactions(path, header=header, user=names[0], item=names[1])
        assert data.X.nnz == 2 - header


def test_columns_without_names(write):
    path = write("u.tsv", table("\t", header=None))
    swapped = read_interactions(path, header=False, user="2", item="1")
    assert (swapped.X != (RATINGS.X > 0).T).nnz == 0
    assert swapped.timestamps is None


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
        ("User id,Product id,Score,Time,Text".replace(" ", "_").replace(",", " "), {}, "01234"),
        ("review_id user_id business_id stars text date", {}, "12354"),
        ("User-ID ISBN Book-Rating", {}, "012"),
        ("a b c d e", {"review": "c"}, "01342"),
    ],
)
def test_which_columns_are_taken(names, wanted, chosen):
    wanted = {**dict.fromkeys(_read_interactions.ROLES), **wanted}
    found = _read_interactions._choose_columns(names.split(), wanted)
    assert "".join(map(str, found.values())) == chosen
    assert list(found)[:2] == ["user", "item"]


TIMES = [
    ("978300760 978302109", np.array([978300760, 978302109])),
    ("9.5 -3", np.array([9.5, -3])),
    ("2024-01-02 2024-12-31", np.array(["2024-01-02", "2024-12-31"], "M8[us]")),
    ("2024/01/02 2024/12/31", np.array(["2024-01-02", "2024-12-31"], "M8[us]")),
    ("2024-01-02T03:04:05 2024-01-02T23:59", None),
    ("2024-01-02T03:04:05Z 2024-01-02T04:04:05Z", None),
    ("2024-01-02T05:04:05+02:00 2024-01-01T23:04:05-05:00", None),
    ("2024-01-02T03:04:05.125Z 2024-01-02T03:04:05.250Z", None),
]


@pytest.mark.parametrize(("times", "expected"), TIMES)
def test_times(write, times, expected):
    first, second = times.split()
    path = write("r.csv", f"user,item,time\n1,1,{first}\n1,2,{second}\n")
    found = read_interactions(path).timestamps
    if expected is None:
        expected = pd.to_datetime([first, second], utc=True, format="ISO8601")
        expected = expected.tz_localize(None).to_numpy()
    np.testing.assert_array_equal(found, expected)
    # Space in place of T; JSON.
    if "T" in times:
        path.write_text(path.read_text().replace("T", " "))
        np.testing.assert_array_equal(read_interactions(path).timestamps, expected)
    quoted = [time if time[0] == "9" else f'"{time}"' for time in (first, second)]
    lines = [f'{{"user":1,"item":{i},"time":{time}}}' for i, time in enumerate(quoted)]
    path = write("r.jsonl", "\n".join(lines))
    np.testing.assert_array_equal(read_interactions(path).timestamps, expected)


@pytest.mark.parametrize("times", ["978300760 978302109", "2024-01-02 2024-12-31"])
def test_times_in_the_third_place(write, times):
    first, second = times.split()
    path = write("r.csv", f"1,1,{first}\n1,2,{second}\n")
    data = read_interactions(path)
    assert data.X.data.tolist() == [1, 1] and len(data.timestamps) == 2
    path.write_text(f"1,1,{first},5\n1,2,{second},3\n")
    data = read_interactions(path)
    assert data.X.data.tolist() == [5, 3] and len(data.timestamps) == 2


UNUSABLE = [
    ("user,item,rating,date", "2,1,3,soon", "column 'date' holds 'soon' ({}), which is no timest"),
    ("user,item,rating,date", "2,1,3,31.12.2024", "'31.12.2024' ({}), which is no timestamp (all"),
    ("user,item,rating,date", "2,1,3,NA", "'NA' ({}), which is no timestamp (all"),
    (
        "user,item,rating,date",
        "2,1,3,",
        "the timestamp is missing in 1 rows, the first of {}",
    ),
    ("user,item,rating,date", "2,1,good,4", "column 'rating' holds 'good' ({}), which is not a n"),
    ("user,item,rating,date", "2,1,NA,4", "holds 'NA' ({}), which is not a number: fill it in or"),
    ("user,item,rating,date", "2,1,1_0,4", "holds '1_0' ({}), which is not a number"),
    ("user,item,rating,date", '2,1,"1,000",4', "holds '1,000' ({}), which is not a number: write"),
    ("user,item,rating,date", "2,1,,4", "the rating is missing in 1 rows, the first of {}"),
    ("user,item,rating,date", "2,1,1e300,4", "column 'rating' holds '1e300' ({}), which is not f"),
    ("user,item,rating,date", "2,1,nan,4", "column 'rating' holds 'nan' ({}), which is not finit"),
    ("a,b,c,d", "2,1,3,soon", "column 'd' holds 'soon' ({}), which is no timestamp"),
]


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
@pytest.mark.parametrize(("header", "last", "said"), UNUSABLE)
def test_columns_that_are_found_but_cannot_be_used(tmp_path, suffix, header, last, said):
    lines = [header, "1,1,2,3", "1,2,4,5", "", last]
    path = tmp_path / f"r.{suffix}"
    place = {"csv": "line 5", "parquet": "row 3", "jsonl": "line 3"}[suffix]
    if suffix == "csv":
        path.write_text("\n".join(lines))
    else:
        rows = list(csv.reader(line for line in lines[1:] if line))
        frame = pl.DataFrame(rows, header.split(","), orient="row")
        frame.write_parquet(path) if suffix == "parquet" else frame.write_ndjson(path)
    said = said.format(place if "missing" not in said else f"them {place}")
    role = "timestamp" if "rating" not in said and "not a number" not in said else "rating"
    with pytest.warns(UserWarning) as caught:
        data = read_interactions(path)
    (warning,) = caught
    assert said in str(warning.message) and "the column is left out" in str(warning.message)
    assert warning.filename == __file__
    assert data.X.nnz == 3
    assert data.timestamps is None if role == "timestamp" else (data.X.data == 1).all()
    # What is asked for by its name is needed.
    with pytest.raises(ValueError) as raised:
        names = header.split(",")
        column = names[3 if role == "timestamp" else 2]
        read_interactions(path, user=names[0], item=names[1], **{role: column})
    assert said in str(raised.value)


def test_dates_in_the_place_of_items(write):
    path = write("r.txt", "0\t2010-10-19T23:55:27Z\t30.2\t-97.7\t22847\n" * 2)
    with pytest.raises(
        ValueError, match="has the items\\? The one in their place, '2', holds dates"
    ):
        read_interactions(path, header=False)
    data = read_interactions(path, user="1", item="5", timestamp="2", duplicates="last")
    assert data.item_ids.tolist() == [22847]


def test_decimal_commas(write):
    path = write("r.csv", "user;item;rating\n1;1;3,5\n1;2;4\n2;2;-1,25\n")
    assert read_interactions(path).X.data.tolist() == [3.5, 4, -1.25]


def test_reviews(write):
    path = write("r.csv", "user,item,text,comment\n1,1,good,x\n1,1,bad,y\n2,1,,z\n")
    data = read_interactions(path, duplicates="last")
    assert data.reviews.tolist() == ["bad", ""]
    data = read_interactions(path, review="comment", duplicates="last")
    assert data.reviews.tolist() == ["y", "z"]
    with pytest.warns(UserWarning, match="reviews cannot be combined by duplicates='sum'"):
        assert read_interactions(path, duplicates="sum").X.data.tolist() == [2, 1]
    with pytest.raises(ValueError, match="reviews cannot be combined by duplicates='mean'"):
        read_interactions(path, review="comment", duplicates="mean")
    path = write("r.jsonl", '{"user":1,"item":1,"text":5}\n')
    with pytest.warns(UserWarning, match="column 'text' holds no texts; the column is left out"):
        assert read_interactions(path).reviews is None


def test_duplicates(write):
    content = table(",") + b"101,7,4,1\n"
    path = write("r.csv", content)
    with pytest.raises(ValueError, match=r"r\.csv: 1 pairs of user and item .* user 101 and item"):
        read_interactions(path)
    for rule, value in {"last": 0.5, "max": 4, "sum": 4.5, "mean": 2.25}.items():
        data = read_interactions(path, duplicates=rule)
        assert data.X[0, data.item_ids.tolist().index(7)] == value


def test_timestamps_that_decide(write):
    path = write(
        "r.csv", "user,item,rating,date\n1,1,5,2024-01-02\n1,1,1,soon\n2,2,5,2024-01-01\n"
    )
    with pytest.raises(ValueError, match=r"'soon' \(line 3\).* latest of several .* duplicates="):
        read_interactions(path, duplicates="last")
    for rule in ("max", "mean", "sum"):
        with pytest.warns(UserWarning, match="'soon'"):
            read_interactions(path, duplicates=rule)
    path.write_text(path.read_text().replace("rating", "x"))
    with pytest.warns(UserWarning, match="'soon'"):
        read_interactions(path, duplicates="last")


def test_one_user_and_one_row(write):
    assert read_interactions(write("r.csv", "user,item\n7,1\n7,2\n")).X.shape == (1, 2)
    assert read_interactions(write("r.jsonl", '{"user":7,"item":"x"}')).X.shape == (1, 1)


def test_encodings(write):
    text = "user,item,rating\nJosé,Café,3\nAna,Café,4\n"
    path = write("r.csv", text.encode("latin-1"))
    with pytest.raises(ValueError, match=r'line 2: the byte 0xe9 is not utf-8; .*="latin-1"$'):
        read_interactions(path)
    for encoding in ("latin-1", "ISO-8859-15", "cp1252"):
        data = read_interactions(path, encoding=encoding)
        assert data.user_ids.tolist() == ["Ana", "José"] and data.item_ids.tolist() == ["Café"]
    path = write("r.csv", text.encode("utf-16"))
    assert read_interactions(path).user_ids.tolist() == ["Ana", "José"]
    path = write("r.csv", text.replace("é", "e").encode("utf-16-le"))
    with pytest.raises(ValueError, match="cannot be read: it is not a text file"):
        read_interactions(path)
    assert read_interactions(path, encoding="utf-16-le").X.shape == (2, 1)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.csv", b"", "cannot be read: it is empty"),
        ("blank.csv", b"\n \n", "cannot be read: it is empty"),
        ("empty.jsonl", b"", "cannot be read: it is empty"),
        ("empty.parquet", b"", "cannot be read: "),
        (
            "rubbish.csv",
            b"\x00\x01\x02,\xff\n",
            "cannot be read: line 1: the byte 0xff is not",
        ),
        ("zeros.csv", b"a,b\x00\n1,2\n", "not a text file"),
        ("rubbish.parquet", b"PAR1 not really", "cannot be read"),
        ("rubbish.csv.gz", b"user,item\n1,2\n", "cannot be read: Not a gzipped file"),
        ("cut.csv.gz", gzip.compress(b"u,i\n1,2\n" * 9999, mtime=0)[:-20], "cannot be read"),
        ("r.xlsx", b"user,item\n", ".json (each also with .gz) or .parquet to tell what"),
        ("r.gz", b"user,item\n", "must end in .csv, .tsv, .txt, .dat, .data, .jsonl"),
        ("r.parquet.gz", b"PAR1", "must end in"),
        ("one.csv", b"user\n1\n", "no comma or semicolon or tab between a user and an item"),
        ("head.csv", b"user,item,date\n\n", "the table has no rows"),
        ("head.txt", b"user\titem\n", "the table has no rows"),
        ("commas.csv", b"user,item\n,\n,\n", "the table has no rows"),
        ("ragged.csv", b"user,item\n1,2\n3,4,5\n", "line 3 has 3 fields and line 1 has 2"),
        ("late.csv", b"user,item\n" + 300 * b'1,"2\n"\n' + b"1,2,3\n", "line 602 has 3 fields"),
        ("top.csv", b"\nuser,item\n1,2\n", "its first line must hold the names"),
        (
            "gap.csv",
            b"user,item\n1,2\n\n,4\n",
            "the user is missing in 1 rows, the first of",
        ),
        ("short.csv", b"user,item,rating\n1,2,3\n1,4\n", "line 3 has 2 fields and line 1 has 3"),
        ("third.csv", b"a,b,c\n1,2,3\n1,4,good\n", "'c' holds 'good' (line 3), which is not a n"),
        ("wide.csv", b"user,item\n1,2,3\n1,3,4\n", "line 2 has 3 fields and line 1 has 2"),
        ("which.csv", b"user,x,y\n1,2,3\n", "item=; the columns are 'user', 'x', 'y'"),
        ("array.json", b'[{"user": 1, "item": 2}]', "line 1: each line must hold one JSON object"),
        ("five.jsonl", b'{"user": 1, "item": 2}\n5\n', "line 2: each line must hold one JSON obj"),
        ("cut.jsonl", b'{"user": 1, "item": 2}\n\n{"user":', "line 3: Expecting value"),
        ("nan.jsonl", b'{"user": 1, "item": NaN}', "line 1: NaN is no number of JSON"),
        (
            "null.jsonl",
            b'{"user":1,"item":2}\n\n{"user":2}',
            "the item is missing in 1 rows",
        ),
        (
            "which.jsonl",
            b'{"x":1,"item":2}',
            "which column has the users? Name it with user=;",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
def test_wrong_file(write, name, content, said):
    with pytest.raises(ValueError) as raised:
        read_interactions(write(name, content))
    message = str(raised.value)
    assert name in message and said in message and "\n" not in message


def test_a_gap_behind_what_python_cannot_read(write):
    for odd in ("x" * 200_000, "a\rb"):
        path = write("r.csv", f"user,item,a\n1,2,{odd}\n1,,b\n")
        with pytest.raises(ValueError, match=r"r\.csv: .*line 2"):
            read_interactions(path, separator=",", header=True)


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.csv"):
        read_interactions(tmp_path / "none.csv")
    with pytest.raises(FileNotFoundError, match=r"none\.parquet"):
        read_interactions(tmp_path / "none.parquet")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"user": "nobody"},
            "user='nobody': no column is called so; the columns are 'userId', ",
        ),
        ({"user": "rating", "item": "rating"}, "must name different columns"),
        ({"user": "userId", "item": "movieId", "rating": "x"}, "rating='x': no column"),
        ({"separator": ""}, "separator='' is none of comma, semicolon, tab, space and '::', nor"),
        ({"separator": "||"}, "separator='||' is none"),
        ({"separator": "x"}, "separator='x' is none"),
        ({"separator": '"'}, "is none"),
        ({"separator": "\n"}, "is none"),
        ({"separator": "§"}, "is none"),
        ({"encoding": "klingon"}, "encoding='klingon' is unknown to Python; use such as utf-8"),
        ({"user": 3}, "The 'user' parameter of read_interactions must be"),
        ({"duplicates": "first"}, "The 'duplicates' parameter of read_interactions must be"),
        ({"header": "yes"}, "The 'header' parameter"),
    ],
)
def test_wrong_option(write, options, said):
    with pytest.raises(ValueError) as raised:
        read_interactions(write("r.csv", table(",")), **options)
    assert said in str(raised.value)


def test_options_of_text_alone(tmp_path, write):
    path = tmp_path / "r.parquet"
    pl.DataFrame(ROWS, HEADER, orient="row").write_parquet(path)
    for other in (path, write("r.jsonl", json_lines())):
        with pytest.raises(ValueError, match="file has no separator=; leave it out"):
            read_interactions(other, separator=",")
        with pytest.raises(ValueError, match="file has no header=; leave it out"):
            read_interactions(other, header=False)


def test_columns_named_twice(write):
    path = write("r.csv", "user,x,x\n1,2,3\n")
    with pytest.raises(ValueError, match="item='x': several columns are called so"):
        read_interactions(path, item="x")
    path.write_text("user,user,item\n1,2,3\n")
    with pytest.raises(ValueError, match="several columns are called 'user'; rename all but one"):
        read_interactions(path)


def test_says_nothing_of_a_file_that_is_right(write):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_interactions(write("r.csv", "user,item,note\n1,2,x\n"))


def test_some_times_with_a_zone(write):
    for first, second in [("Z", ""), ("", "Z"), ("", "+02:00")]:
        bad = f"2024-01-02T03:04:05{second}"
        path = write("r.csv", f"user,item,time\n1,2,2024-01-02T03:04:05{first}\n1,3,{bad}\n")
        with pytest.warns(UserWarning) as caught:
            read_interactions(path)
        assert f"holds {bad!r} (line 3)" in str(caught[0].message)
        assert "with a time zone or without" in str(caught[0].message)
