"""What a MovieLens release says of its movies and its users, as data frames and as matrices."""

import csv
import re
from itertools import chain
from typing import NamedTuple

import numpy as np
from scipy import sparse

from skrec.utils._frames import make_frame

# The flags at the end of a line of u.item, in the order of u.genre; the first is "unknown".
_FLAGS = (
    *("", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary"),
    *("Drama", "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi"),
    *("Thriller", "War", "Western"),
)
_NO_GENRE = "(no genres listed)"
_YEAR = re.compile(r"\((\d{4})(?:[-–]\d{0,4})?\)")

# The codes of users.dat, as the README of the release explains them.
_OCCUPATIONS = (
    *("other", "academic/educator", "artist", "clerical/admin", "college/grad student"),
    *("customer service", "doctor/health care", "executive/managerial", "farmer", "homemaker"),
    *("K-12 student", "lawyer", "programmer", "retired", "sales/marketing", "scientist"),
    *("self-employed", "technician/engineer", "tradesman/craftsman", "unemployed", "writer"),
)
_AGE_GROUPS = ("under 18", "18-24", "25-34", "35-44", "45-49", "50-55", "56+")
_AGE_LIMITS = (18, 25, 35, 45, 50, 56)


class User(NamedTuple):
    """What a release tells of a user."""

    age: int
    gender: str
    occupation: str
    zip_code: str


def parse_movies(lines, name):
    """Read what is known of movies.

    Parameters
    ----------
    lines : Lines
        They begin with the movie's id and its title.
    name : str
        Name of the file, which tells its format: ``movies.csv``, ``movies.dat`` or ``u.item``.

    Returns
    -------
    movies : dict of int to list of str
        By movie id the fields of the line behind it, the title first.
    """
    if name.endswith(".csv"):
        rows = lines.each(csv.reader(lines))
        next(rows, None)
    else:
        rows = _split(lines, name)
    movies = {}
    for row in filter(None, rows):
        if len(row) < 2:
            raise ValueError(f"a movie has no title: {row[0][:200]!r}")
        movies[int(row[0])] = row[1:]
    return movies


def parse_users(lines, name):
    """Read what is known of users.

    Parameters
    ----------
    lines : Lines
    name : str
        Name of the file, which tells its format: ``u.user`` or ``users.dat``.

    Returns
    -------
    users : dict of int to User
    """
    users = {}
    for row in _split(lines, name):
        if len(row) != 5:
            raise ValueError(f"a user must have 5 fields, got {len(row)}: {row[0][:200]!r}")
        if name == "u.user":
            number, age, gender, occupation, zip_code = row
        else:
            number, gender, age, code, zip_code = row
            if not (code.isdecimal() and int(code) < len(_OCCUPATIONS)):
                raise ValueError(f"an occupation must be a code from 0 to 20, got {code[:200]!r}")
            occupation = _OCCUPATIONS[int(code)]
        if gender not in ("F", "M"):
            raise ValueError(f"a gender must be F or M, got {gender[:200]!r}")
        if not (age.isdecimal() and len(age) < 4):
            raise ValueError(f"an age must be a number of years, got {age[:200]!r}")
        users[int(number)] = User(int(age), gender, occupation, zip_code)
    return users


def _split(lines, name):
    separator = "::" if name.endswith(".dat") else "|"
    return (line.rstrip("\r\n").split(separator) for line in lines.each(lines) if line.strip())


def describe_items(interactions, movies, name):
    """Make a data frame and a matrix of the movies.

    Parameters
    ----------
    interactions : Interactions
    movies : dict
        From `parse_movies`; a movie that it lacks has no year and no genres.
    name : str
        The file that they are from.

    Returns
    -------
    parts : dict
        ``item_frame``, ``item_features`` and ``item_feature_names`` of the release's features.
    """
    ids, titles = interactions.item_ids, interactions.item_names
    genres = [_genres(movie, movies.get(movie), name) for movie in ids.tolist()]
    years = [_YEAR.findall(title) for title in titles.tolist()]
    years = [int(found[-1]) if found else None for found in years]
    decades = [[year // 10 * 10] if year else [] for year in years]
    joined = ["|".join(labels) for labels in genres]
    frame = make_frame({"item": ids, "title": titles, "year": years, "genres": joined})
    matrix, names = _indicators({"genre": (genres, None), "decade": (decades, None)})
    return {"item_frame": frame, "item_features": matrix, "item_feature_names": names}


def describe_users(interactions, users):
    """Make a data frame and a matrix of the users.

    Parameters
    ----------
    interactions : Interactions
    users : dict or None
        From `parse_users`.

    Returns
    -------
    parts : dict
        ``user_frame``, ``user_features`` and ``user_feature_names`` of the release's features.
    """
    if users is None:
        return dict.fromkeys(["user_frame", "user_features", "user_feature_names"])
    unknown = [user for user in interactions.user_ids.tolist() if user not in users]
    if unknown:
        raise ValueError(f"it does not have user {unknown[0]}, who has rated")
    columns = {"user": interactions.user_ids}
    found = [users[user] for user in interactions.user_ids.tolist()]
    columns |= {name: [getattr(user, name) for user in found] for name in User._fields}
    groups = np.searchsorted(_AGE_LIMITS, columns["age"], side="right")
    matrix, names = _indicators(
        {
            "gender": ([[gender] for gender in columns["gender"]], None),
            "age": ([[_AGE_GROUPS[group]] for group in groups], _AGE_GROUPS),
            "occupation": ([[occupation] for occupation in columns["occupation"]], None),
        }
    )
    frame = make_frame(columns)
    return {"user_frame": frame, "user_features": matrix, "user_feature_names": names}


def _genres(movie, fields, name):
    """Names of the genres in the fields of a movie, in the order of the file."""
    if fields is None:
        return []
    if name == "u.item":
        flags = fields[4:]
        if len(flags) != len(_FLAGS) or not {"0", "1"}.issuperset(flags):
            raise ValueError(
                f"movie {movie} must have {len(_FLAGS)} genres marked by 0 or 1, got "
                f"{'|'.join(flags)[:200]!r}"
            )
        return [genre for genre, flag in zip(_FLAGS, flags, strict=True) if genre and flag == "1"]
    if len(fields) < 2:
        raise ValueError(f"movie {movie} has no genres, not even {_NO_GENRE!r}")
    return [genre for genre in fields[1].split("|") if genre not in ("", _NO_GENRE)]


def _indicators(parts):
    """Columns of ones, one for each label of each part, and their names.

    Parameters
    ----------
    parts : dict of str to tuple of (list of lists, list or None)
        By the name of a part the labels of each row, and all labels in order; None means those
        that occur, sorted.
    """
    blocks, names = [], []
    for part, (rows, labels) in parts.items():
        labels = sorted(set(chain(*rows))) if labels is None else labels
        column = {label: position for position, label in enumerate(labels)}
        indices = [column[label] for row in rows for label in dict.fromkeys(row)]
        indptr = np.cumsum([0, *(len(set(row)) for row in rows)])
        shape = len(rows), len(labels)
        blocks.append(sparse.csr_array((np.ones(len(indices)), indices, indptr), shape=shape))
        names += [f"{part}_{label}" for label in labels]
    matrix = sparse.csr_array(sparse.hstack(blocks, format="csr"))
    matrix.sort_indices()
    return matrix, names
