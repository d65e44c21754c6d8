"""The Markdown reports."""

from statistics import mean, median, stdev


def render(result):
    """Turn what ``ease.py`` measured into Markdown."""
    buffer = f"one items x items buffer is {result['data']['n_items'] ** 2 * 4 / 2**20:,.0f} MiB"
    rounds = f"Medians of {result['repeats']} rounds; ratios are medians of each round's ratio."
    lines = head(result, f"; {buffer} in float32", rounds)
    for section in (_fit, _stages, _scoring, _evaluate, _models):
        lines += ["", *section(result)]
    return "\n".join(lines) + "\n"


def render_autoencoders(result):
    """Turn what ``autoencoders.py`` measured into Markdown."""
    rounds = (
        f"Medians of {result['repeats']} rounds, each of {result['n_epochs']} epochs after a "
        "first one; ratios are medians of each round's ratio."
    )
    lines = head(result, "", rounds if result["epochs"] else "")
    for section in (_floors, _epochs, _quality):
        lines += section(result)
    return "\n".join(lines) + "\n"


def head(result, buffer, rounds):
    data = result["data"]
    return [
        f"## {data['name']}",
        "",
        f"`{result['command']}`",
        "",
        f"{data['n_users']:,} training users x {data['n_items']:,} items, "
        f"{data['n_entries']:,} entries{buffer}. "
        f"{describe(result['machine'])} {rounds}".rstrip(),
    ]


def describe(machine):
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    return (
        f"{machine['cores']} cores ({machine['processor']}, load {machine['load']} at the start), "
        + (f"{machine['gpu']}, " if "gpu" in machine else "")
        + f"{machine['system']}, Python {machine['python']}, {versions}."
    )


def ratio(times, floor):
    return median(a / b for a, b in zip(times, floor, strict=True))


def fit_times(measured):
    """EASE.fit and the two floors, seconds of each round."""
    stages = measured["stages"]
    inverse = [a + b for a, b in zip(stages["potrf"], stages["potri"], strict=True)]
    return {
        "EASE.fit": measured["fit"],
        "floor A": [a + b for a, b in zip(stages["scipy Gram"], inverse, strict=True)],
        "floor B": [a + b for a, b in zip(stages["skrec Gram"], inverse, strict=True)],
    }


def _fit(result):
    rows = []
    for dtype, measured in result["fit"].items():
        fit, a, b = fit_times(measured).values()
        buffers = [measured["peak_allocations"], measured["peak_rss"]]
        rows.append(
            [dtype, *(seconds(times) for times in (fit, a, b))]
            + [f"{ratio(fit, a):.2f}", f"{ratio(fit, b):.2f}"]
            + ["-" if peak is None else f"{peak / measured['buffer']:.2f}" for peak in buffers]
        )
    header = "fit,EASE.fit (s),floor A (s),floor B (s),fit / A,fit / B"
    return table(f"{header},peak allocations (buffers),peak RSS (buffers)", rows)


def _stages(result):
    rows = []
    for dtype, measured in result["fit"].items():
        stages = {name: median(times) for name, times in measured["stages"].items()}
        ours = sum(seconds for name, seconds in stages.items() if name != "scipy Gram")
        rest = median(measured["fit"]) - ours
        rows.append([dtype, *(f"{s:.3f}" for s in stages.values()), f"{rest:.3f}"])
    names = next(iter(result["fit"].values()))["stages"]
    header = ",".join(["stage (s)", *names, "rest of EASE.fit"])
    return table(header, rows)


def _scoring(result):
    rows = []
    for verb, measured in result["scoring"].items():
        ours, obvious = measured["times"]["skrec"], measured["times"]["obvious"]
        rows.append(
            [verb, f"{measured['n_users']:,}"]
            + [f"{measured['n_users'] / median(times):,.0f}" for times in (obvious, ours)]
            + [f"{ratio(obvious, ours):.2f}", "yes" if measured["equal"] else "NO"]
        )
    header = "verb,users,obvious NumPy (users/s),skrec (users/s),speed-up,same answer"
    return table(header, rows)


def _evaluate(result):
    times = result["evaluate"]["times"]
    metrics, bare, ours = (times[name] for name in ("metrics", "X @ B", "predict"))
    columns = [seconds(one) for one in times.values()]
    columns += [f"{ratio(metrics, bare):.3f}", f"{ratio(metrics, ours):.3f}"]
    header = ",".join(["evaluate (s)", *times, "metrics / X @ B", "metrics / predict"])
    return table(header, [[f"{result['evaluate']['n_users']:,} users", *columns]])


def _models(result):
    buffer = 4 * result["data"]["n_items"] ** 2
    models = result["models"]
    ours = median(models["skrec EASE"]["times"])
    rows = []
    for name, model in models.items():
        if "skipped" in model:
            rows.append([name, model["skipped"]])
            continue
        peak, score = model["peak_rss"], model["ndcg@100"]
        rows.append(
            [name, model["version"], seconds(model["times"])]
            + [f"{median(model['times']) / ours:.2f}"]
            + (["-", "-"] if peak is None else [f"{peak / 2**20:,.0f}", f"{peak / buffer:.2f}"])
            + ["-" if score is None else f"{score[0]:.4f} ± {score[1]:.4f}"]
        )
    header = "model,version,fit (s),x skrec EASE,peak RSS (MiB),in float32 buffers,NDCG@100"
    return table(header, rows)


def _floors(result):
    """MultVAE beside loops written by hand."""
    names = ["skrec MultVAE", "plain sparse loop", "plain dense loop"]
    if names[0] not in result["epochs"]:
        return []
    ours, *floors = times = [_rounds(result["epochs"][name]) for name in names]
    header = ",".join(
        ["epoch", *(f"{name} (s)" for name in names), "skrec / sparse,skrec / dense"]
    )
    ratios = [f"{ratio(ours, floor):.2f}" for floor in floors]
    return ["", *table(header, [["Mult-VAE", *map(seconds, times), *ratios]])]


def _epochs(result):
    models = result["epochs"]
    peaks = {"peak_process": "peak RSS (MiB)", "peak_gpu": "peak GPU (MiB)"}
    if result["device"] == "cpu":
        del peaks["peak_gpu"]
    rows = []
    for name, model in models.items():
        if "skipped" in model:
            rows.append([name, model["skipped"]])
            continue
        ours = model["counterpart"]
        times = _rounds(model)
        rows.append(
            [name, model["version"], seconds(times)]
            + [f"{ratio(times, _rounds(models[ours])):.2f} x {ours}"]
            + [_mebibytes(model[peak]) for peak in peaks]
        )
    header = ",".join(["model,version,epoch (s),ratio", *peaks.values()])
    return ["", *table(header, rows)] if rows else []


def _rounds(model):
    """Median seconds of an epoch, by round."""
    return [median(epochs) for epochs in model["times"]]


def _mebibytes(peaks):
    return "-" if None in peaks else f"{max(peaks) / 2**20:,.0f}"


def _quality(result):
    if not result["quality"]:
        return []
    rows = []
    for name, answers in result["quality"].items():
        scores = [answer.get("ndcg@100") for answer in answers]
        if None in scores:
            rows.append([name, answers[0].get("skipped", "no scores")])
            continue
        rows.append(
            [name, f"{mean(score for score, _ in scores):.4f}"]
            + [f"{stdev(score for score, _ in scores):.4f}"]
            + [f"{score:.4f} ± {error:.4f}" for score, error in scores]
            + [seconds([answer["times"][0] for answer in answers])]
            + [", ".join(answer["epochs"] for answer in answers if "epochs" in answer)]
        )
    n_splits = len(next(iter(result["quality"].values())))
    splits = ",".join(f"split {number}" for number in range(n_splits))
    header = f"NDCG@100 ({result['settings']} settings),mean,deviation,{splits},fit (s),best epoch"
    return ["", *table(header, rows)]


def seconds(times):
    return f"{median(times):.3g}"


def table(header, rows):
    columns = header.split(",")
    rows = [[*row, *[""] * (len(columns) - len(row))] for row in rows]
    lines = [columns, ["---"] + ["---:"] * (len(columns) - 1), *rows]
    return ["| " + " | ".join(map(str, line)) + " |" for line in lines]
