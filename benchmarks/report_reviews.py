"""The Markdown report of ``reviews.py``."""

from statistics import mean, stdev

from report import head, seconds, table


def render_reviews(result):
    """Turn what ``reviews.py`` measured into Markdown."""
    lines = head(result, "", "RMSE of unrounded predictions; deviations are over data or splits.")
    for section in (_simulation, _topics, _scaling, _splits):
        lines += section(result)
    return "\n".join(lines) + "\n"


def _simulation(result):
    if not result["simulation"]:
        return []
    rows = []
    for sparsity, models in result["simulation"].items():
        gains = differences(models["DeepLTRS without texts"], models["DeepLTRS"])
        rows.append([sparsity, *map(spread, models.values()), gains, len(models["DeepLTRS"])])
    names = ",".join(next(iter(result["simulation"].values())))
    return ["", *table(f"sparsity,{names},gain by texts ± s.e.,data sets", rows)]


def _topics(result):
    rows = [
        [number, *(f"{cosine:.3f}" for cosine in cosines)]
        for number, cosines in enumerate(result["topics"])
    ]
    return ["", *table("cosines with matched topics,A,B,C,D", rows)] if rows else []


def _scaling(result):
    rows = [
        [
            f"{one['n_pairs']:,}",
            f"{one['seconds']:.2f}",
            f"{1e6 * one['seconds'] / one['n_pairs']:.0f}",
        ]
        for one in result["scaling"]
    ]
    return ["", *table("ratings,epoch (s),µs a rating", rows)] if rows else []


def _splits(result):
    if not result["splits"]:
        return []
    rows = []
    offsets = result["splits"].get("BiasBaseline", {}).get("rmse")
    plain = result["splits"].get("DeepLTRS without texts", {}).get("rmse")
    for name, measured in result["splits"].items():
        scores = measured["rmse"]
        rows.append(
            [name, spread(scores)]
            + [
                differences(other, scores) if other and other != scores else ""
                for other in (offsets, plain)
            ]
            + [seconds(measured["seconds"]), ", ".join(map(str, measured["epochs"]))]
            + [", ".join(f"{score:.4f}" for score in scores)]
        )
    for name, scores in result["published"].items():
        each = ", ".join(f"{score:.4f}" for score in scores)
        rows.append([f"{name} (published)", spread(scores), "", "", "", "", each])
    header = "model,RMSE,gain on BiasBaseline,gain on no texts,fit (s),best epoch,each split"
    return ["", *table(header, rows)]


def spread(values):
    spread = f" ± {stdev(values):.4f}" if len(values) > 1 else ""
    return f"{mean(values):.4f}{spread}"


def differences(worse, better):
    """Mean and standard error of paired differences, with the p-value of the t-test."""
    if worse is None or worse == better:
        return ""
    gains = [a - b for a, b in zip(worse, better, strict=True)]
    if len(gains) < 2 or stdev(gains) == 0:
        return f"{mean(gains):.4f}"
    from scipy.stats import ttest_1samp

    error = stdev(gains) / len(gains) ** 0.5
    return f"{mean(gains):.4f} ± {error:.4f} (p = {ttest_1samp(gains, 0).pvalue:.2g})"
