"""The MovieLens data sets: users' star ratings of movies."""

import gzip
import io
import zipfile
from importlib import resources
from numbers import Integral, Real
from os import PathLike
from typing import NamedTuple

import numpy as np
from sklearn.utils import Bunch

from skrec.datasets._base import archive_fault, download_archive, get_data_home, published
from skrec.datasets._movielens_features import (
    describe_items,
    describe_users,
    parse_movies,
    parse_users,
)
from skrec.interactions import Interactions
from skrec.utils._compat import Interval, StrOptions, validate_params
from skrec.utils._files import Lines
from skrec.utils._warnings import warn

BASE_URL = "https://files.grouplens.org/datasets/movielens/"


class Release(NamedTuple):
    """How one release is packed."""

    archive: str
    folder: str
    ratings: str
    movies: str
    encoding: str
    n_ratings: int | None
    md5: str | None
    users: str | None = None


_CSV = ("ratings.csv", "movies.csv", "utf-8")
_DAT = ("ratings.dat", "movies.dat")

# latest-small changes on the server from time to time: it has no fixed count or checksum.
RELEASES = {
    "100k": Release(
        *("ml-100k.zip", "ml-100k", "u.data", "u.item", "latin-1"),
        n_ratings=100_000,
        md5="0e33842e24a9c977be4e0107933c0723",
        users="u.user",
    ),
    "1m": Release(
        *("ml-1m.zip", "ml-1m", *_DAT, "latin-1"),
        n_ratings=1_000_209,
        md5="c4d9eecfca2ab87c1945afe126590906",
        users="users.dat",
    ),
    "10m": Release(
        *("ml-10m.zip", "ml-10M100K", *_DAT, "utf-8"),
        n_ratings=10_000_054,
        md5="ce571fd55effeba0271552578f2648bd",
    ),
    "20m": Release(
        *("ml-20m.zip", "ml-20m", *_CSV),
        n_ratings=20_000_263,
        md5="cd245b17a1ae2cc31bb14903e1204af3",
    ),
    "25m": Release(
        *("ml-25m.zip", "ml-25m", *_CSV),
        n_ratings=25_000_095,
        md5="6b51fb2759a8657d3bfcbfc42b592ada",
    ),
    "32m": Release(
        *("ml-32m.zip", "ml-32m", *_CSV),
        n_ratings=32_000_204,
        md5="d472be332d4daa821edc399621853b57",
    ),
    "latest-small": Release(
        *("ml-latest-small.zip", "ml-latest-small", *_CSV),
        n_ratings=None,
        md5=None,
    ),
}

_ROW = np.dtype([("user", "i4"), ("movie", "i4"), ("rating", "f4"), ("timestamp", "i8")])
_SPACES = bytes.maketrans(b":,\t", b"   ")
_CHUNK = 1 << 22


@validate_params({"return_features": ["boolean"]}, prefer_skip_nested_validation=True)
def load_movielens_small(*, return_features=False):
    """Load the small MovieLens data set that comes with the package.

    This is the release *latest-small* of September 2018: 100,836 ratings, from half a star to
    five stars, of 9,724 movies by 610 users with at least 20 ratings each. It is meant for
    development and education, not for published comparisons. Its terms of use are in the file
    ``datasets/data/ml-latest-small/README.txt`` of the package.

    Parameters
    ----------
    return_features : bool, default=False
        Whether to return what is known of the movies too.

    Returns
    -------
    interactions : Interactions
        Ratings as values, timestamps in seconds since 1970, titles as ``item_names``.
    features : Bunch
        Only if ``return_features=True``: genres and years, as :func:`fetch_movielens` has them.
        Of the users nothing is known.

    References
    ----------
    F. Maxwell Harper and Joseph A. Konstan. 2015. The MovieLens Datasets: History and Context.
    ACM Transactions on Interactive Intelligent Systems 5, 4, article 19.
    https://doi.org/10.1145/2827872

    Examples
    --------
    >>> from skrec.datasets import load_movielens_small
    >>> movielens = load_movielens_small()
    >>> movielens
    Interactions(610 users x 9724 items, 100836 entries, density 1.70%)
    >>> movielens.item_names[0]
    'Toy Story (1995)'
    >>> movielens, features = load_movielens_small(return_features=True)
    >>> features.item_frame.head(2)
       item             title    year                                       genres
    0     1  Toy Story (1995)  1995.0  Adventure|Animation|Children|Comedy|Fantasy
    1     2    Jumanji (1995)  1995.0                   Adventure|Children|Fantasy
    """
    folder = resources.files("skrec.datasets") / "data" / "ml-latest-small"
    release = RELEASES["latest-small"]

    def open_member(name):
        return gzip.GzipFile(fileobj=io.BytesIO((folder / f"{name}.gz").read_bytes()))

    return _read(release, open_member, folder, return_features)


@validate_params(
    {
        "name": [StrOptions(set(RELEASES))],
        "data_home": [str, PathLike, None],
        "download_if_missing": ["boolean"],
        "n_retries": [Interval(Integral, 0, None, closed="left")],
        "delay": [Interval(Real, 0.0, None, closed="left")],
        "progress": ["boolean", StrOptions({"auto"})],
        "return_features": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def fetch_movielens(
    name="latest-small",
    *,
    data_home=None,
    download_if_missing=True,
    n_retries=3,
    delay=1.0,
    progress="auto",
    return_features=False,
):
    """Load a MovieLens data set, downloading it where it is not stored yet.

    Read from the first of these in `data_home`: the unpacked folder, such as ``ml-1m/``; the
    archive, such as ``ml-1m.zip``, once its checksum is verified. The network is used only
    when neither is there, or when the archive is damaged.

    ================  ==========  =======  ======  ================
    name              ratings     users    movies  values
    ================  ==========  =======  ======  ================
    ``latest-small``  100,836     610      9,724   0.5, 1, ..., 5
    ``100k``          100,000     943      1,682   1, 2, ..., 5
    ``1m``            1,000,209   6,040    3,706   1, 2, ..., 5
    ``10m``           10,000,054  69,878   10,677  0.5, 1, ..., 5
    ``20m``           20,000,263  138,493  26,744  0.5, 1, ..., 5
    ``25m``           25,000,095  162,541  59,047  0.5, 1, ..., 5
    ``32m``           32,000,204  200,948  84,432  0.5, 1, ..., 5
    ================  ==========  =======  ======  ================

    Parameters
    ----------
    name : {"100k", "1m", "10m", "20m", "25m", "32m", "latest-small"}, default="latest-small"
        The release. The first six never change: the MD5 sum of their archive and the number of
        their ratings are verified. *latest-small* changes on the server from time to time (the
        table shows that of September 2018, which :func:`load_movielens_small` has), so its
        archive is only verified to be intact.
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
    return_features : bool, default=False
        Whether to return what the release tells of its movies and users too.

    Returns
    -------
    interactions : Interactions
        Ratings as values, timestamps in seconds since 1970, titles as ``item_names``. Items are
        the movies with a rating.
    features : Bunch
        Only if ``return_features=True``. Its rows are in the order of ``interactions.item_ids``
        and ``interactions.user_ids``, so that the matrices go with ``interactions``;
        :class:`skrec.RatingRegressor` takes ``(interactions.item_ids, features.item_features)``.

        item_frame : dataframe
            Columns item, title, year (that in the title; missing where there is none) and genres
            (joined by "|", empty where there are none), of the first of pandas, polars and
            pyarrow that is installed.
        item_features : csr_array of shape (n_items, n_item_features)
            A 1 for each genre of a movie and for its decade.
        item_feature_names : list of str
            Such as "genre_Drama" and "decade_1990".
        user_frame : dataframe or None
            Columns user, age, gender ("F" or "M"), occupation and zip_code. Only *100k* and *1m*
            know their users; *1m* has the lowest age of each age group, and 1 for those under 18.
            Also None, with a warning, where an unpacked folder lacks the file of the users.
        user_features : csr_array of shape (n_users, n_user_features) or None
            A 1 for the gender, the age group and the occupation of a user.
        user_feature_names : list of str or None
            Such as "gender_F", "age_18-24" and "occupation_student".

    Raises
    ------
    OSError
        If the data is not there and cannot be downloaded, or is damaged.

    References
    ----------
    F. Maxwell Harper and Joseph A. Konstan. 2015. The MovieLens Datasets: History and Context.
    ACM Transactions on Interactive Intelligent Systems 5, 4, article 19.
    https://doi.org/10.1145/2827872

    Examples
    --------
    >>> from skrec.datasets import fetch_movielens
    >>> fetch_movielens("1m")  # doctest: +SKIP
    Interactions(6040 users x 3706 items, 1000209 entries, density 4.47%)

    What is known of users and movies goes to a model that reads it:

    >>> films, features = fetch_movielens("100k", return_features=True)  # doctest: +SKIP
    >>> features.user_frame.head(2)  # doctest: +SKIP
       user  age gender  occupation zip_code
    0     1   24      M  technician    85711
    1     2   53      F       other    94043
    >>> from skrec import EASE
    >>> EASE(item_features=features.item_features).fit(films)  # doctest: +SKIP
    """
    release = RELEASES[name]
    data_home = get_data_home(data_home)
    folder, archive = data_home / release.folder, data_home / release.archive
    if all((folder / member).is_file() for member in (release.ratings, release.movies)):
        return _read(release, lambda member: open(folder / member, "rb"), folder, return_features)

    url = BASE_URL + release.archive
    fault = archive_fault(archive, release.md5) if archive.exists() else None
    if not download_if_missing and (fault or not archive.exists()):
        raise OSError(
            f"{archive} {'is damaged: ' + fault if fault else 'is not there'}, nor is there a "
            f"folder {folder} with {release.ratings} and {release.movies}; put there what "
            f"{url} holds, or pass download_if_missing=True"
        )
    if fault:
        warn(f"downloading {archive} again: {fault}")
    if fault or not archive.exists():
        download_archive(
            url, archive, md5=release.md5, n_retries=n_retries, delay=delay, progress=progress
        )
    with zipfile.ZipFile(archive) as packed:
        return _read(
            release,
            lambda member: packed.open(f"{release.folder}/{member}"),
            archive,
            return_features,
        )


def _read(release, open_member, source, return_features):
    """Make `Interactions` of a release's files, which `open_member` opens by name."""
    with published(source), open_member(release.movies) as file:
        lines = Lines(file, release.encoding)
        with published(source, lines, release.movies):
            movies = parse_movies(lines, release.movies)
    with published(source), open_member(release.ratings) as file:
        lines = Lines(file)
        with published(source, lines, release.ratings):
            ratings = parse_ratings(lines, has_header=release.ratings.endswith(".csv"))
    with published(source):
        if release.n_ratings not in (None, len(ratings)):
            raise ValueError(
                f"{release.ratings} has {len(ratings)} ratings instead of {release.n_ratings}"
            )
        interactions = Interactions.from_arrays(
            ratings["user"],
            ratings["movie"],
            ratings["rating"],
            timestamps=ratings["timestamp"],
            item_names={movie: fields[0] for movie, fields in movies.items()},
        )
    if not return_features:
        return interactions
    with published(source, member=release.movies):
        features = describe_items(interactions, movies, release.movies)
    users = _read_users(release, open_member, source)
    with published(source, member=release.users):
        features |= describe_users(interactions, users)
    return interactions, Bunch(**features)


def _read_users(release, open_member, source):
    """What is known of users, None where a release or an unpacked folder has nothing."""
    if release.users is None:
        return None
    try:
        with published(source), open_member(release.users) as file:
            lines = Lines(file, release.encoding)
            with published(source, lines, release.users):
                return parse_users(lines, release.users)
    except FileNotFoundError:
        warn(
            f"{source} has no {release.users}, so nothing is known of the users, and "
            f"features.user_frame is None: put that file there, from {BASE_URL + release.archive}."
        )
        return None


def parse_ratings(lines, *, has_header):
    """Read lines of user, movie, rating and timestamp, separated by "::", "," or tab.

    Parameters
    ----------
    lines : Lines
        Its ``record`` is the line at fault where there is one.
    has_header : bool
        Whether the first line names the columns.

    Returns
    -------
    ratings : structured ndarray of shape (n_ratings,)
        Fields user, movie, rating, timestamp.

    Raises
    ------
    ValueError
        If a line is not of this form, or there is none.
    """
    if has_header:
        next(lines, None)
    found = []
    # Whole lines, a few megabytes at a time, so that a file of 32 million needs no copy of itself.
    for chunk in lines.each(lines.chunks(_CHUNK)):
        try:
            found.append(_as_ratings(chunk))
        except ValueError:
            for line in chunk.split(b"\n"):
                _as_ratings(line)
                lines.record += 1
            raise
    if not found:
        raise ValueError("it has no ratings")
    return np.concatenate(found)


def _as_ratings(lines):
    if not lines.strip():
        return np.empty(0, dtype=_ROW)
    file = io.BytesIO(lines.translate(_SPACES))
    try:
        ratings = np.loadtxt(file, dtype=_ROW, comments=None, ndmin=1)
    except ValueError as error:
        # NumPy goes on with the row, counted from where it began to read.
        raise ValueError(str(error).partition(" at row ")[0]) from error
    if not np.isfinite(ratings["rating"]).all():
        raise ValueError("a rating is not finite")
    return ratings
