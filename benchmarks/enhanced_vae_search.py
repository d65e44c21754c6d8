"""Fit a setting of EnhancedVAE's search again and score it on the users that were held out.

See README.md beside this file.
"""

import json
from pathlib import Path
from statistics import mean

import click
from data import partitions, training_rows

from skrec import EASE, EnhancedVAE
from skrec.neural._held_out import hold_out_users

RECORDS = Path(__file__).parent / "results" / "enhanced-vae-search.jsonl"


@click.command()
@click.option("--line", type=click.IntRange(1), required=True, help="Which record, from 1.")
def main(line):
    """Print NDCG@100 on the users of early stopping: recorded, of a new fit, and of EASE."""
    records = [json.loads(text) for text in RECORDS.read_text().splitlines()]
    if line > len(records):
        raise click.UsageError(f"--line {line}: there are {len(records)} records.")
    record = records[line - 1]
    again, ease = [], []
    for parts in partitions(record["data"], record["splits"]):
        rows = training_rows(parts)
        fraction = parts.validation_fold_in.shape[0] / rows.shape[0]
        model = EnhancedVAE(
            **record["parameters"], validation_fraction=fraction, device="cpu", random_state=0
        )
        again.append(max(model.fit(rows).validation_scores_))
        training, held_out = hold_out_users(rows, fraction, seed=0)  # the same as in that fit
        ease.append(held_out.ndcg(EASE(l2=500).fit(training).predict))
    click.echo(f"{record['parameters']} on {record['data']}, {record['splits']} split(s)")
    click.echo(f"recorded {record['validation']:.4f}, again {mean(again):.4f}", nl=False)
    click.echo(f", EASE {mean(ease):.4f}")


if __name__ == "__main__":
    main()
