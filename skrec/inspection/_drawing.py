"""What all displays do: check their data, and find axes to draw on."""

from sklearn.utils import assert_all_finite, check_consistent_length, column_or_1d

from skrec.utils._compat import check_matplotlib_support


def check_columns(**columns):
    """Validate aligned arrays of numbers and return them as arrays of float."""
    arrays = []
    for name, values in columns.items():
        values = column_or_1d(values, dtype=float, input_name=name)
        assert_all_finite(values, input_name=name)
        arrays.append(values)
    check_consistent_length(*arrays)
    if not len(arrays[0]):
        raise ValueError(f"{', '.join(columns)} are empty: there is nothing to show.")
    return arrays


def axes_for(display, ax):
    """Return `ax`, or new axes if it is None, and keep them as attributes of the display."""
    check_matplotlib_support(f"{type(display).__name__}.plot")
    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots()
    display.ax_, display.figure_ = ax, ax.figure
    return ax
