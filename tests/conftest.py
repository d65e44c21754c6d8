"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest

_REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def shared_data():
    """Folder of real data sets laid out as their archives unpack; skips where it is absent."""
    folder = Path(os.environ.get("SKREC_DATA", _REPOSITORY.parent / "shared" / "data"))
    if not (folder / "ml-1m").is_dir():
        pytest.skip(f"needs MovieLens data sets in {folder} (set SKREC_DATA)")
    return folder
