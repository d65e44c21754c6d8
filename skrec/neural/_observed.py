"""An output layer computed at the observed entries alone."""

import warnings

import torch
from torch.nn.functional import embedding_bag

from skrec.solvers._gaussian_products import variance_factors

# Entries that are gathered at a time where there is no sampled product.
N_GATHERED = 1024


class _ObservedProducts(torch.autograd.Function):
    @staticmethod
    def forward(ctx, left, right, batch):
        ctx.save_for_backward(left, right)
        ctx.batch = batch
        # torch refuses more entries than there are pairs.
        is_sparse = len(batch.items) <= len(left) * len(right)
        if left.device.type in ("cpu", "cuda") and is_sparse:
            return _sampled_product(left, right, batch)
        return _gathered_products(left, right, batch)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        left, right = ctx.saved_tensors
        batch = ctx.batch
        grad_left = grad_right = None
        if ctx.needs_input_grad[0]:
            grad_left = embedding_bag(
                batch.items,
                right,
                batch.offsets,
                mode="sum",
                per_sample_weights=grad,
                include_last_offset=True,
            )
        if ctx.needs_input_grad[1]:
            # The same product with rows and items exchanged; sums keep their order.
            rows, starts, grad = batch.by_item(grad, len(right))
            grad_right = embedding_bag(
                rows,
                left,
                starts,
                mode="sum",
                per_sample_weights=grad,
                include_last_offset=True,
            )
        return grad_left, grad_right, None


def observed_products(left, right, batch):
    """Inner product of a row of `left` and a row of `right` for each entry of a batch.

    Parameters
    ----------
    left : tensor of shape (n_rows, n_hidden)
    right : tensor of shape (n_items, n_hidden)
    batch : SparseBatch
        Which pairs of row and item. They may repeat, and stand in any order within a row.

    Returns
    -------
    products : tensor of shape (n_entries,)
        It can be differentiated once. Neither way holds an array of shape (n_rows, n_items) or
        (n_entries, n_hidden).
    """
    return _ObservedProducts.apply(left, right, batch)


def _sampled_product(left, right, batch):
    pattern = torch.sparse_csr_tensor(
        batch.offsets,
        batch.items,
        torch.zeros_like(batch.values),
        size=(len(left), len(right)),
        check_invariants=False,
    )
    return torch.sparse.sampled_addmm(pattern, left, right.t(), beta=0.0).values()


def _hear_that_csr_is_in_beta():
    """Let torch say so now: it does once in a process, and filters belong to all threads."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        empty = torch.zeros(1, dtype=torch.int64, device="cpu")
        torch.sparse_csr_tensor(empty, empty[:0], empty[:0], size=(0, 0), check_invariants=False)


_hear_that_csr_is_in_beta()


def _gathered_products(left, right, batch):
    return torch.cat(
        [
            (left[rows] * right[items]).sum(dim=1)
            for rows, items in zip(
                batch.rows.split(N_GATHERED), batch.items.split(N_GATHERED), strict=True
            )
        ]
    )


def observed_squared_errors(batch, left, right, weights=None):
    """Expected squared error of each entry around the product of two normal vectors.

    Parameters
    ----------
    batch : SparseBatch
    left, right : pair of tensor of shape (n_rows or n_items, n_components)
        Means and variances, independent in each coordinate.
    weights : tensor of shape (n_components,), default=None
        Of the coordinates in the product. None means 1.

    Returns
    -------
    errors : tensor of shape (n_entries,)
    """
    weighted = left[0] if weights is None else weights * left[0]
    residuals = batch.values - observed_products(weighted, right[0], batch)
    variances = observed_products(*variance_factors(left, right, weights), batch)
    return residuals**2 + variances
