"""The compiled loop that orders the candidates of users, one after the other."""

import numpy as np

from skrec.solvers._compiled import compiled


@compiled
def _first_best(items, scores, is_open):
    """Where the largest score stands, ties by lower item; -1 if nothing is open."""
    best = -1
    for place in range(len(items)):
        if is_open[place] and (
            best < 0
            or scores[place] > scores[best]
            or (scores[place] == scores[best] and items[place] < items[best])
        ):
            best = place
    return best


@compiled
def order_candidates(items, scores, gains, weights, places, likeness, groups, cap, chosen, values):
    """Fill `chosen` and `values` from left to right, by what each candidate is worth then."""
    indptr, indices, n_groups = groups
    n_candidates = items.shape[1]
    nearest = np.empty(n_candidates)
    worth = np.empty(n_candidates, dtype=values.dtype)  # as precise as it is kept and compared
    counts = np.empty(n_groups, dtype=np.int64)
    for user in range(len(items)):
        is_left = items[user] >= 0
        fits = is_left.copy()
        nearest[:] = 0  # what is less alike than that is not alike
        counts[:] = 0
        weight = weights[user]
        for place in range(n_candidates):
            worth[place] = scores[user, place] + (gains[user, place] + weight)
        for step in range(chosen.shape[1]):
            best = _first_best(items[user], worth, fits)
            if best >= 0:
                values[user, step] = worth[best]
            else:  # only what exceeds the cap is left, which has the model's order
                best = _first_best(items[user], scores[user], is_left)
                if best < 0:
                    break
                values[user, step] = scores[user, best]
            chosen[user, step] = items[user, best]
            is_left[best] = fits[best] = False
            if cap > 0:
                item = items[user, best]
                for entry in range(indptr[item], indptr[item + 1]):
                    counts[indices[entry]] += 1
            for place in range(n_candidates):
                if not fits[place]:
                    continue
                if cap > 0:
                    item = items[user, place]
                    for entry in range(indptr[item], indptr[item + 1]):
                        if counts[indices[entry]] >= cap:
                            fits[place] = False
                            break
                if weight > 0:
                    near = likeness[places[user, best], places[user, place]]
                    nearest[place] = max(nearest[place], near)
                    distant = weight * (1 - nearest[place])
                    worth[place] = scores[user, place] + (gains[user, place] + distant)
