"""The Markdown report of ``ratings.py``."""

from statistics import mean, stdev

from report import head, ratio, seconds, table


def render_ratings(result):
    """Turn what ``ratings.py`` measured into Markdown."""
    rounds = f"Medians of {result['repeats']} rounds." if result["repeats"] else ""
    lines = head(result, "", rounds)
    for section in (_rating_errors, _rating_speed, _pair_speed):
        lines += section(result)
    return "\n".join(lines) + "\n"


def _rating_errors(result):
    if not result["quality"]:
        return []
    n_splits = result["data"]["n_splits"]
    is_sweep = result["data"]["name"].endswith("subsampling")
    rows = []
    for name, answers in result["quality"].items():
        errors = [answer["rmse"] for answer in answers]
        covered = [answer["coverage"] for answer in answers if "coverage" in answer]
        row = [name]
        if is_sweep:
            row += [f"{error:.4f}" for error in errors]
        else:
            spread = f" ± {stdev(errors):.4f}" if n_splits > 1 else ""
            row += [f"{mean(errors):.4f}{spread}"]
            row += [f"{mean(answer['mae'] for answer in answers):.4f}"]
            row += [f"{100 * mean(covered):.1f} %" if covered else "-"]
            row += [result["published"].get(name, "-")]
        rows.append([*row, seconds([answer["times"][0] for answer in answers])])
    if is_sweep:
        shares = ",".join(f"RMSE of {n:,}".replace(",", " ") for n in result["data"]["n_training"])
        return ["", *table(f"model,{shares},fit (s)", rows)]
    header = "model,RMSE,MAE,90 % intervals cover,published RMSE (MAE),fit (s)"
    return ["", *table(header, rows)]


def _rating_speed(result):
    if not result["speed"]:
        return []
    ours = next(iter(result["speed"].values()))["times"]
    rows = []
    for name, answer in result["speed"].items():
        if not answer.get("times"):
            rows.append([name, answer["skipped"]])
            continue
        error = f"{answer['rmse']:.4f}" if "rmse" in answer else "-"
        times = answer["times"]
        rows.append([name, answer["version"], seconds(times), f"{ratio(times, ours):.2f}", error])
    return ["", *table("model,version,fit (s),x the first,RMSE", rows)]


def _pair_speed(result):
    if not result["pairs"]:
        return []
    floor = result["pairs"]["gather and multiply"]
    rows = [
        [name, seconds(times), f"{ratio(times, floor):.2f}"]
        for name, times in result["pairs"].items()
    ]
    return ["", *table("a million pairs,seconds,x gather and multiply", rows)]
