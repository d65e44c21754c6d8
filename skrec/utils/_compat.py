"""Names of other libraries that are private or experimental: what a new version may break."""

from sklearn.base import _fit_context

# Validates parameters, with those of nested estimators, before a method of training begins.
fit_context = _fit_context(prefer_skip_nested_validation=False)
