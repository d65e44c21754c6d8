"""scikit-learn's own callbacks, which are experimental: without them everything else works."""

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:

    class CallbackSupportMixin:
        """Stands in where scikit-learn has no callbacks, or has moved them."""

        def _init_callback_context(self, **kwargs):
            return None
