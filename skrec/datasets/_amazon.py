"""Amazon reviews: star ratings of products with the texts that were written with them."""

import csv
import gzip
import json
from numbers import Integral, Real
from os import PathLike

import numpy as np

from skrec.datasets._base import archive_fault, download_archive, get_data_home, published
from skrec.interactions import Interactions
from skrec.utils._compat import Interval, StrOptions, validate_params
from skrec.utils._files import Lines
from skrec.utils._warnings import warn

REVIEWS_URL = "https://snap.stanford.edu/data/amazon/productGraph/categoryFiles/"
FINE_FOODS_URL = "https://snap.stanford.edu/data/finefoods.txt.gz"

_DOWNLOAD = {
    "data_home": [str, PathLike, None],
    "download_if_missing": ["boolean"],
    "n_retries": [Interval(Integral, 0, None, closed="left")],
    "delay": [Interval(Real, 0.0, None, closed="left")],
    "progress": ["boolean", StrOptions({"auto"})],
}
_LARGEST = float(np.finfo(np.float32).max)
_SNAP_FIELDS = {
    "product/productId": "item",
    "review/userId": "user",
    "review/score": "rating",
    "review/time": "time",
    "review/summary": "summary",
    "review/text": "text",
}
_JSON_FIELDS = {
    "asin": "item",
    "reviewerID": "user",
    "overall": "rating",
    "unixReviewTime": "time",
    "summary": "summary",
    "reviewText": "text",
}
_CSV_FIELDS = {
    "Product id": "item",
    "User id": "user",
    "Score": "rating",
    "Time": "time",
    "Text": "summary",
}


@validate_params({"category": [str], **_DOWNLOAD}, prefer_skip_nested_validation=True)
def fetch_amazon_reviews(
    category="Musical_Instruments",
    *,
    data_home=None,
    download_if_missing=True,
    n_retries=3,
    delay=1.0,
    progress="auto",
):
    """Load the Amazon reviews of a product category, downloading them where they are not stored.

    These are the 5-core sets of 2014: every user and every product has at least five reviews.
    Read from the first of these in `data_home`: the unpacked file in a folder named after the
    category, such as ``amazon-musical-instruments/Musical_Instruments_5.json``; the archive, such
    as ``reviews_Musical_Instruments_5.json.gz``.

    Parameters
    ----------
    category : str, default="Musical_Instruments"
        The category as the archives name it, such as "Amazon_Instant_Video" or
        "Grocery_and_Gourmet_Food".
    data_home : str or path-like, default=None
        Folder of archives and unpacked archives. With None, the environment variable
        ``SKREC_DATA``, or else ``~/skrec_data``.
    download_if_missing : bool, default=True
        Whether to download what is not there, and to replace an archive that is damaged (with a
        warning). If False, both are errors.
    n_retries : int, default=3
        Number of further attempts after a failed download.
    delay : float, default=1.0
        Seconds between two attempts.
    progress : bool or "auto", default="auto"
        Whether to draw a progress bar of the download on the standard error; "auto" does when
        that is a terminal.

    Returns
    -------
    interactions : Interactions
        Ratings from 1 to 5 as values, timestamps in seconds since 1970, the full texts as
        ``reviews``. Of several reviews of one pair, the last.

    Raises
    ------
    OSError
        If the data is not there and cannot be downloaded, or is damaged.

    References
    ----------
    .. [1] J. McAuley, C. Targett, Q. Shi and A. van den Hengel, "Image-Based Recommendations on
       Styles and Substitutes", SIGIR 2015. :doi:`10.1145/2766462.2767755`

    Examples
    --------
    >>> from skrec.datasets import fetch_amazon_reviews
    >>> fetch_amazon_reviews("Musical_Instruments")  # doctest: +SKIP
    Interactions(1429 users x 900 items, 10261 entries, density 0.80%)
    """
    folder = "amazon-" + category.lower().replace("_", "-")
    archive = f"reviews_{category}_5.json.gz"
    options = (download_if_missing, n_retries, delay, progress)
    unpacked = f"{folder}/{category}_5.json"
    return _fetch(data_home, unpacked, archive, REVIEWS_URL + archive, options, "text")


@validate_params(
    {"text": [StrOptions({"text", "summary"})], **_DOWNLOAD}, prefer_skip_nested_validation=True
)
def fetch_amazon_fine_foods(
    *,
    text="text",
    data_home=None,
    download_if_missing=True,
    n_retries=3,
    delay=1.0,
    progress="auto",
):
    """Load the Amazon Fine Foods reviews, downloading them where they are not stored.

    568,454 reviews of food, up to October 2012. Read from the first of these in `data_home`: the
    unpacked file ``finefoods.txt``; the archive ``finefoods.txt.gz``; and, with
    ``text="summary"``, ``amazon-fine-foods-subset/AmazonData.csv``, the part that the DeepLTRS
    paper used.

    Parameters
    ----------
    text : {"text", "summary"}, default="text"
        Whether the reviews are the full texts or their one-line summaries.
    data_home : str or path-like, default=None
        Folder of archives and unpacked archives. With None, the environment variable
        ``SKREC_DATA``, or else ``~/skrec_data``.
    download_if_missing : bool, default=True
        Whether to download what is not there, and to replace an archive that is damaged (with a
        warning). If False, both are errors.
    n_retries : int, default=3
        Number of further attempts after a failed download.
    delay : float, default=1.0
        Seconds between two attempts.
    progress : bool or "auto", default="auto"
        Whether to draw a progress bar of the download on the standard error; "auto" does when
        that is a terminal.

    Returns
    -------
    interactions : Interactions
        Ratings from 1 to 5 as values, timestamps in seconds since 1970, texts as ``reviews``. Of
        several reviews of one pair, the last.

    Raises
    ------
    OSError
        If the data is not there and cannot be downloaded, or is damaged.

    References
    ----------
    .. [1] J. McAuley and J. Leskovec, "From Amateurs to Connoisseurs: Modeling the Evolution of
       User Expertise through Online Reviews", WWW 2013. :doi:`10.1145/2488388.2488466`

    Examples
    --------
    >>> from skrec.datasets import fetch_amazon_fine_foods
    >>> foods = fetch_amazon_fine_foods()  # doctest: +SKIP
    >>> foods.filter(min_users_per_item=50, min_items_per_user=20)  # doctest: +SKIP
    """
    options = (download_if_missing, n_retries, delay, progress)
    subset = get_data_home(data_home) / "amazon-fine-foods-subset" / "AmazonData.csv"
    stored = [get_data_home(data_home) / name for name in ("finefoods.txt", "finefoods.txt.gz")]
    if text == "summary" and subset.is_file() and not any(path.is_file() for path in stored):
        return _read(subset, text)
    return _fetch(data_home, "finefoods.txt", "finefoods.txt.gz", FINE_FOODS_URL, options, text)


def _fetch(data_home, unpacked, archive, url, options, text):
    download_if_missing, n_retries, delay, progress = options
    data_home = get_data_home(data_home)
    unpacked, archive = data_home / unpacked, data_home / archive
    if unpacked.is_file():
        return _read(unpacked, text)
    fault = archive_fault(archive, None) if archive.exists() else None
    if not download_if_missing and (fault or not archive.exists()):
        raise OSError(
            f"{archive} {'is damaged: ' + fault if fault else 'is not there'}, nor is {unpacked}; "
            f"put there what {url} holds, or pass download_if_missing=True"
        )
    if fault:
        warn(f"downloading {archive} again: {fault}")
    if fault or not archive.exists():
        download_archive(url, archive, n_retries=n_retries, delay=delay, progress=progress)
    return _read(archive, text)


def _read(path, text):
    """Make `Interactions` of a file, gzipped or not, in the format that its name tells."""
    name = path.name.removesuffix(".gz")
    parse = {"json": parse_json_lines, "txt": parse_snap, "csv": parse_csv}[name.split(".")[-1]]
    # The text file of 2012 is in Latin-1; the others are in UTF-8.
    encoding = "latin-1" if name.endswith(".txt") else "utf-8"
    open_file = gzip.open if path.name.endswith(".gz") else open
    with open_file(path, "rb") as file:
        # Of bytes, only "\n" ends a line: texts may hold a lone "\r".
        lines = Lines(file, encoding)
        with published(path, lines):
            rows = list(parse(lines))
    with published(path):
        if not rows:
            raise ValueError("it has no reviews")
        return Interactions.from_arrays(
            [row["user"] for row in rows],
            [row["item"] for row in rows],
            np.array([row["rating"] for row in rows], dtype=np.float32),
            timestamps=np.array([row["time"] for row in rows], dtype=np.int64),
            reviews=[row.get(text, "") for row in rows],
            duplicates="last",
        )


def parse_json_lines(lines):
    """Yield reviews of `Lines` with one JSON object each, as dicts."""
    for line in lines.each(lines):
        if line.strip():
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError(f"a line is no JSON object: {line[:200]!r}")
            yield _review(row, _JSON_FIELDS)


def parse_csv(lines):
    """Yield reviews of `Lines` of a table with a header, as dicts."""
    rows = (row for row in lines.each(csv.reader(lines)) if row)
    header = next(rows, [])
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"a row has {len(row)} fields, the header has {len(header)}")
        yield _review(dict(zip(header, row, strict=True)), _CSV_FIELDS)


def parse_snap(lines):
    """Yield reviews of `Lines` in the format of SNAP, as dicts: ``field: value``, an empty line.

    A line that begins with no field goes on with the value before. So does an empty line, unless
    the next review begins after it, which it does with a field of the product.
    """
    review, first, last, is_after_empty = {}, 1, None, False
    for line in lines.each(lines):
        line = line.rstrip("\r\n")
        if not line:
            is_after_empty = True
            continue
        field, separator, value = line.partition(": ")
        field = field.rstrip(":")
        is_field = field.startswith(("product/", "review/")) and (separator or line.endswith(":"))
        if review and is_after_empty and is_field and field.startswith("product/"):
            lines.record = first
            yield _review(review, _SNAP_FIELDS)
            review = {}
        is_after_empty = False
        if is_field:
            if field in review:
                raise ValueError(f"a review has {field!r} twice: {str(review)[:200]}")
            first = first if review else lines.number
            review[field], last = value, field
        elif not review:
            raise ValueError(f"a review begins with {line[:40]!r} instead of a field")
        else:
            review[last] += " " + line
    if review:
        lines.record = first
        yield _review(review, _SNAP_FIELDS)


def _review(row, names):
    """Rename and check the fields of a review, and make numbers of its rating and time."""
    review = {name: row[field] for field, name in names.items() if field in row}
    for name in ("user", "item", "rating", "time"):
        if review.get(name) in (None, ""):
            raise ValueError(f"a review has no {name}: {str(row)[:200]}")
    for name in {"user", "item", "summary", "text"} & set(review):
        if not isinstance(review[name], str):
            raise ValueError(f"a review's {name} is no text: {str(review[name])[:200]}")
    review["rating"] = float(review["rating"])
    if not abs(review["rating"]) <= _LARGEST:
        raise ValueError(f"a review's rating is {review['rating']}, which is no finite number")
    review["time"] = int(np.int64(int(review["time"])))
    return review
