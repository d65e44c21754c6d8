"""Updates of fitted models by ids: users whose rows changed, new users, new items."""

import numpy as np

from skrec.interactions import Interactions
from skrec.utils._changes import update_rows


def update(model, old, new, *, sample_weight=None):
    """Update a fitted model with what came in since: changed users, new users, new items.

    Users whose rows have changed are replaced instead of counted twice, new ones are added, and
    new items widen the model. What that costs, and how near it comes to ``model.fit(new)``,
    depends on the model:

    - EASE, Popularity, BiasBaseline and RP3beta become what ``fit(new)`` makes of them.
    - PMF goes on with its sweeps, over all of `new`, from the factors that it has.
    - MultVAE, MultDAE, RecVAE and EnhancedVAE make a pass over the changed and the new users, as
      ``partial_fit`` does. For new items their networks get weights as at the start of a fit.
      AutoRec with ``based_on="user"`` makes a pass over all users.
    - The others refuse, and say why.

    Parameters
    ----------
    model : estimator
        Fitted on `old`. It is changed, as by ``partial_fit``.
    old : Interactions
        What the model was fitted on.
    new : Interactions
        What holds now, such as ``old.update(tonight)`` makes it: users and items of `old` come
        first, in their order.
    sample_weight : array-like of shape (n_users,), default=None
        Weights of the users of `new`, if the model was fitted with weights. Those of the users of
        `old` must be the same as then.

    Returns
    -------
    model : estimator
        The same model. If the update fails, it is as it was before.

    Raises
    ------
    TypeError
        If the model has no sound update; the message says why, and what to do instead.
    ValueError
        If users or items of `old` are missing in `new` or stand in another order, or if the model
        can tell that it was fitted on something else.

    See Also
    --------
    EASE.partial_fit : Adds users whom the model has not seen, by their rows alone.

    Examples
    --------
    >>> import skrec
    >>> from skrec import Interactions, Popularity
    >>> old = Interactions.from_arrays(["ann", "ann", "bob"], ["jam", "tea", "tea"])
    >>> model = Popularity().fit(old.X)
    >>> new = Interactions(
    ...     [[1, 1, 1], [0, 1, 0], [0, 0, 1]], ["ann", "bob", "cem"], ["jam", "tea", "nuts"]
    ... )
    >>> skrec.update(model, old, new).popularity_
    array([1., 2., 2.])
    """
    for name, interactions in (("old", old), ("new", new)):
        if not isinstance(interactions, Interactions):
            raise TypeError(
                f"{name} must be Interactions, got {type(interactions).__name__}: an update goes "
                "by ids. Interactions.from_frame makes them from a table."
            )
    _check_prefix("user", old.user_ids, new.user_ids)
    _check_prefix("item", old.item_ids, new.item_ids)
    has_names = hasattr(model, "feature_names_in_")
    rows = (old, new) if has_names else (old.X, new.X)
    return update_rows(model, *rows, sample_weight=sample_weight)


def _check_prefix(kind, old_ids, new_ids):
    """Refuse ids that are missing, or that have moved."""
    if np.array_equal(old_ids, new_ids[: len(old_ids)]):
        return
    missing = set(old_ids.tolist()).difference(new_ids.tolist())
    if missing:
        first = next(one for one in old_ids.tolist() if one in missing)
        trouble = f"{len(missing)} {kind}s of `old` are missing in `new`, the first is {first!r}"
    else:
        moved = np.flatnonzero(old_ids != new_ids[: len(old_ids)])[0]
        trouble = (
            f"{kind}s of `old` stand in another order in `new`: at position {moved} "
            f"{new_ids[moved]!r} instead of {old_ids[moved]!r}"
        )
    raise ValueError(
        f"{trouble}. Make `new` with old.update(...), which keeps them, or fit again, "
        "model.fit(new)."
    )
