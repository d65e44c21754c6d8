"""How judgements are printed, and written as JSON."""

import click

from skrec._cli._models import kind_of
from skrec._cli._options import rated
from skrec._cli._output import table_rows

_HIDDEN_SIGN = "neg_"


def as_json_object(judged):
    """List everything, of all tasks.

    Parameters
    ----------
    judged : list of (Judged, str)
        With the command that recommends with the best model.

    Returns
    -------
    content : dict
    """
    content = {"data": {}, "comparison": [], "search": {}, "left_out": {}, "best": {}}
    for one, command in judged:
        data, reads = one.task.data, one.task.reads
        content["data"][reads] = {
            "n_users": data.X.shape[0],
            "n_items": data.X.shape[1],
            "n_interactions": data.X.nnz,
            "n_folds": len(one.folds) if one.compared is None else one.compared.n_folds,
        }
        if one.compared is not None:
            content["comparison"] += table_rows(one.compared.comparison)
        if one.found is not None:
            content["search"][reads] = {
                "n_settings": one.found.n_settings,
                "n_tried": one.found.n_tried,
                "best": [
                    {"model": at.setting.name, "n_users": at.n_users, "score": at.score}
                    for at in one.found.best
                ],
            }
        content["left_out"] |= one.left_out
        content["best"][reads] = {"model": one.best, "command": command}
    content["interrupted"] = any(one.is_interrupted for one, _ in judged)
    return content


def print_judged(judged):
    """Print a table for each task, and the best model with its command, that of lists last.

    Parameters
    ----------
    judged : list of (Judged, str)
    """
    for one, _ in judged:
        click.echo()
        _print_task(one)
    if any(one.is_interrupted for one, _ in judged):
        click.echo("\nStopped by Ctrl-C: these are the results until then.")
    click.echo()
    for one, command in sorted(judged, key=lambda pair: pair[0].task.reads, reverse=True):
        use = "recommending" if one.task.reads == "choices" else "predicting ratings"
        click.echo(f"Best for {use} is {one.best}: {command}")


def _print_task(one):
    task = one.task
    data = task.data
    kinds = {row.name: kind_of(row) for row in task.rows}
    click.echo(
        f"{'Lists' if task.reads == 'choices' else 'Predicted ratings'} for {data.X.shape[0]:,} "
        f"users with enough items{rated(task.min_rating)}: {data.X.shape[1]:,} items, "
        f"{data.X.nnz:,} entries."
    )
    if one.found is not None:
        click.echo(
            f"Tuned by successive halving: {one.found.n_tried} of {one.found.n_settings} settings "
            "tried."
        )
    if one.compared is not None:
        n_planned, n_made = len(one.folds), one.compared.n_folds
        n_test = sum(fold.test.shape[0] for fold in one.folds[:n_made])
        made = f"{n_made} of {n_planned} folds, as more take longer than --budget"
        if n_made == n_planned:
            made = f"{n_made} fold{'s' if n_made > 1 else ''}"
        click.echo(f"Measured on {n_test:,} users, in {made}.\n")
        click.echo(by_model(one.compared.comparison, kinds))
    else:
        click.echo("Scores of the search, on the users that it judges by:\n")
        for at in one.found.best:
            click.echo(f"  {abs(at.score):.4f}  {at.setting.name}, from {at.n_users} users")
    for name, reason in one.left_out.items():
        click.echo(f"Left out: {name}: {reason}")


def by_model(comparison, kinds):
    """Write a Comparison as a table of models, the best by the first metric first.

    Parameters
    ----------
    comparison : Comparison
    kinds : dict of str to str
        Of the models, which stand before the parenthesis in the names of settings.

    Returns
    -------
    text : str
    """
    from tabulate import tabulate

    cells = {(row["model"], row["metric"]): row for row in table_rows(comparison)}
    metrics = list(dict.fromkeys(metric for _, metric in cells))
    rows = []
    for model, metric in cells:
        if metric != metrics[0]:
            continue
        first = cells[model, metric]
        error = first["standard_error"]
        values = [_signed(cells[model, metric]) for metric in metrics]
        rows.append(
            [
                model,
                kinds[model.partition("(")[0]],
                values[0] + ("" if error is None else f" \N{PLUS-MINUS SIGN} {error:.4f}"),
                *values[1:],
                "" if first["p_value"] is None else f"{first['p_value']:.2g}",
                f"{first['fit_time']:.1f}",
            ]
        )
    shown = [metric.removeprefix(_HIDDEN_SIGN) for metric in metrics]
    headers = ["model", "kind", *shown, "p value", "fit seconds"]
    align = ["left", "left", *["right"] * (len(headers) - 2)]
    return tabulate(rows, headers, colalign=align, disable_numparse=True)


def _signed(cell):
    """Errors are negated where larger has to be better."""
    sign = -1 if cell["metric"].startswith(_HIDDEN_SIGN) else 1
    return f"{sign * cell['mean']:.4f}"
