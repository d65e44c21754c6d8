"""scikit-learn estimators for recommendation."""

from skrec import _interrupts as _interrupts  # isort: skip  # for the imports below, too

import lazy_loader as _lazy

from skrec.utils import _forks as _forks

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
