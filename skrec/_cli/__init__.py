"""The command line; what a command needs beside click is imported when it runs."""

import sys

import click

from skrec import __version__
from skrec._cli._evaluate import evaluate
from skrec._cli._fit import fit
from skrec._cli._recommend import recommend


class _OneLineErrors(click.Group):
    """A group that answers a mistake with one line and exit code 2, Ctrl-C with exit code 130."""

    def main(self, *args, standalone_mode=True, **kwargs):
        if not standalone_mode:
            return super().main(*args, standalone_mode=False, **kwargs)
        try:
            sys.exit(super().main(*args, standalone_mode=False, **kwargs))
        except click.ClickException as error:
            message, code = error.format_message(), error.exit_code
        except MemoryError as error:
            message, code = f"not enough memory. {error}", 1
        except OSError as error:  # such as a full disk behind the standard output
            message, code = f"cannot go on: {error.strerror or error}", 1
        except click.Abort:
            sys.exit(130)
        click.echo(f"skrec: error: {' '.join(message.split())}", err=True)
        sys.exit(code)


@click.group(
    cls=_OneLineErrors,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 99},
)
@click.version_option(__version__, prog_name="skrec")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
@click.pass_context
def cli(context, as_json):
    """Recommend items to users, with scikit-learn estimators.

    Without a command, skrec shows the whole way on the MovieLens ratings that come with it, in
    about a minute, as `skrec demo` does: compare models on users unseen in training, tune the
    best one, and recommend movies to a new user, with the reasons.

    \b
    Examples:
      skrec demo
      skrec evaluate ratings.csv --min-rating 4
      skrec recommend ratings.csv --k 10 --out recs.csv
      skrec fit ratings.csv --model EASE --out model.skops
      skrec recommend today.csv --model-file model.skops
    """
    if context.invoked_subcommand is None:
        context.invoke(demo, as_json=as_json)
    elif as_json:
        raise click.UsageError(
            f"--json must stand after {context.invoked_subcommand}, not before it"
        )


@cli.command(short_help="Show the whole way on the bundled MovieLens ratings.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def demo(as_json):
    """Compare, tune and recommend on MovieLens latest-small, in about a minute.

    Models of choices are compared by their lists, models of ratings by their errors, on users
    unseen in training. The best one for lists is tuned, and recommends movies to a new user, with
    the reasons.

    \b
    Example:
      skrec demo
    """
    from skrec._cli._demo import show

    show(as_json)


cli.add_command(evaluate)
cli.add_command(fit)
cli.add_command(recommend)
