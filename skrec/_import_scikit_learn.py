"""Import scikit-learn without its unused import of pandas.

scikit-learn 1.9 imports pandas wherever it is installed, which costs a third of its import time,
and never uses it (removed in 1.10, https://github.com/scikit-learn/scikit-learn/pull/34265).
Drop this module once the oldest supported scikit-learn is 1.10.
"""

import sys
from types import ModuleType

if "pandas" not in sys.modules:
    sys.modules["pandas"] = ModuleType("pandas")  # for the import below only
    try:
        import sklearn.utils.fixes  # noqa: F401
    finally:
        del sys.modules["pandas"]
