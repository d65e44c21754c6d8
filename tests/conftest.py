"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest
from short_ids import short_id

_REPOSITORY = Path(__file__).parents[1]


def pytest_make_parametrize_id(val):
    return short_id(val)


@pytest.fixture(scope="session")
def shared_data():
    """Folder of real data sets laid out as their archives unpack; skips where it is absent."""
    folder = Path(os.environ.get("SKREC_DATA", _REPOSITORY.parent / "shared" / "data"))
    if not (folder / "ml-1m").is_dir():
        pytest.skip(f"needs MovieLens data sets in {folder} (set SKREC_DATA)")
    return folder
