"""The nearest columns of a matrix."""

from scipy import sparse

from skrec.solvers._sparse_products import largest_off_diagonal


def nearest_columns(left, right, k, n_threads=1, denominator=None):
    """The `k` largest entries of each column of ``left.T @ right``, its diagonal left out.

    Parameters
    ----------
    left, right : sparse array of shape (n_rows, n_columns)
        What is not positive in the product counts as not there.
    k : int
        Entries kept of a column. At equal values those of lower index are kept.
    n_threads : int, default=1
    denominator : Denominator, default=None
        What the products are divided by before: its rows are the columns of ``left.T @ right``.

    Returns
    -------
    nearest : csc_array of shape (n_columns, n_columns)
        Each column is multiplied, cut and forgotten: memory holds what is kept.
    """
    return largest_off_diagonal(
        sparse.csr_array(right.T),
        sparse.csr_array(left),
        k,
        n_threads,
        denominator=denominator,
    ).T
