"""Updates of fitted models by ids: users whose rows changed, new users, new items."""

import numpy as np

from skrec.interactions import Interactions
from skrec.utils._changes import update_rows
from skrec.utils._columns import check_distinct


def update(model, old, new, *, sample_weight=None):
    """Update a fitted model with what came in since: changed users, new users, new items.

    Users whose rows have changed are replaced instead of counted twice, new ones are added, and
    new items widen the model. What that costs, and how near it comes to ``model.fit(new)``,
    depends on the model:

    - EASE, SLIM, GraphFilter, Popularity, BiasBaseline, ItemKNN, UserKNN and RP3beta become what
      ``fit(new)`` makes of them.
    - SlopeOne, CoClustering and NonNegativePMF are fitted anew.
    - PMF goes on with its sweeps, over all of `new`, from the factors that it has.
    - MultVAE, MultDAE, RecVAE, EnhancedVAE and ELSA make a pass over the changed and the new
      users, as ``partial_fit`` does. For new items they get weights as at the start of a fit.
      AutoRec with ``based_on="user"`` makes a pass over all users.
    - The others refuse, and say why.

    Parameters
    ----------
    model : estimator
        Fitted on `old`. It is changed, as by ``partial_fit``.
    old : Interactions
        What the model was fitted on.
    new : Interactions
        What holds now, such as :meth:`Interactions.update` makes it of `old`: its users and items
        come first, in their order.
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
    Interactions.update : What holds now, from what came in.
    EASE.partial_fit : Adds users whom the model has not seen, by their rows alone.

    Examples
    --------
    >>> import skrec
    >>> from skrec import Interactions, Popularity
    >>> old = Interactions.from_arrays(["ann", "ann", "bob"], ["jam", "tea", "tea"])
    >>> model = Popularity().fit(old)
    >>> tonight = Interactions.from_arrays(["ann", "cem"], ["nuts", "tea"])
    >>> new = old.update(tonight)
    >>> skrec.update(model, old, new).popularity_
    array([1., 3., 1.])
    >>> model.feature_names_in_
    array(['jam', 'tea', 'nuts'], dtype=object)
    """
    for name, interactions in (("old", old), ("new", new)):
        if not isinstance(interactions, Interactions):
            raise TypeError(
                f"{name} must be Interactions, got {type(interactions).__name__}: an update goes "
                "by ids. Interactions.from_frame makes them from a table."
            )
    check_distinct("users of `new`", new.user_ids)
    _check_prefix("user", old.user_ids, new.user_ids)
    _check_prefix("item", old.item_ids, new.item_ids)
    has_names = hasattr(model, "feature_names_in_")
    rows = (old, new) if has_names else (old.X, new.X)
    return update_rows(model, *rows, sample_weight=sample_weight)


def _check_prefix(kind, old_ids, new_ids):
    """Refuse ids that are missing, or that have moved."""
    if np.array_equal(old_ids, new_ids[: len(old_ids)]):
        return
    old_list, new_list = old_ids.tolist(), new_ids.tolist()
    known = set(new_list)
    missing = [one for one in old_list if one not in known]
    if missing:
        trouble = f"{kind}s of `old` are missing in `new` ({len(missing)}, first {missing[0]!r})"
    else:
        pairs = zip(new_list, old_list, strict=False)
        found, wanted = next(pair for pair in pairs if pair[0] != pair[1])
        trouble = (
            f"{kind}s of `old` stand in another order in `new` ({found!r} where {wanted!r} was)"
        )
    raise ValueError(
        f"{trouble}: make `new` with old.update(...), which keeps them, or fit again, "
        "model.fit(new)."
    )
