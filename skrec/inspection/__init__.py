"""Pictures of what a model gets right and wrong; they need matplotlib."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
