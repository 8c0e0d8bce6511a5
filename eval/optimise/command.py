"""`assay-models optimise`: added to that command by an entry point, because evidence is measured here."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path

__all__ = ["add_commands"]


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `optimise` to the commands of `assay-models`."""
    from eval.optimise.plan import Plan

    parser = commands.add_parser(
        "optimise",
        help="try faster forms of a model, measure each one live, keep one only with evidence",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("name", metavar="NAME[/VERSION]", help="the newest version where none is named")
    parser.add_argument("--calibration", required=True, metavar="DATA", help="sets int8 ranges: digits:train")
    parser.add_argument("--data", required=True, metavar="DATA", help="what is measured: digits:test")
    parser.add_argument("--out", type=Path, help="folder for report.html, report.json and report.md")
    parser.add_argument("--keep", action="store_true", help="publish what passed as the next version")
    numbers: tuple[tuple[str, type, str], ...] = (
        ("calibration-images", int, "pictures drawn for the ranges"),
        ("limit", int, "pictures drawn for the scores; all where not given"),
        ("margin", float, "most the score may fall, as a fraction"),
        ("rounds", int, "of throughput, at least 5"),
        ("seconds", float, "of one version in one round"),
        ("batch", int, "pictures in a request"),
        ("connections", int, "requests at once"),
        ("faster", float, "least ratio of throughput that counts as faster"),
        ("epsilon", float, "of the audit, in levels of 255"),
        ("budget", int, "queries for each attacked picture"),
        ("samples", int, "pictures attacked; 0 for no audit"),
        ("seed", int, "of every draw"),
    )
    for name, kind, words in numbers:
        default = getattr(Plan("", ""), name.replace("-", "_"))
        parser.add_argument(f"--{name}", type=kind, default=default, help=words)
    parser.add_argument("--only", default="", help="candidates to try, comma-separated; all where not given")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> Iterator[str]:
    """The lines of a run; what a person can mend is a ValueError, as `assay-models` wants it."""
    from eval.errors import EvalError

    try:
        yield from _lines(options)
    except EvalError as error:
        raise ValueError(str(error)) from error


def _lines(options: argparse.Namespace) -> Iterator[str]:
    from rich.console import Console

    from eval.console import save
    from eval.optimise.keep import keep
    from eval.optimise.plan import Plan
    from eval.optimise.run import optimise
    from eval.report.optimise import optimise_report
    from models.repository import RepositoryError, newest, read_version, versions

    name, _, number = options.name.partition("/")
    found = versions(options.repository)
    version = newest(found, name)
    if number:
        if number not in {str(v.card.version) for v in found if v.card.name == name}:
            raise RepositoryError(f"no version {number!r} of {name!r} in {options.repository}")
        version = read_version(options.repository / name / number)
    # A Plan's fields are this command's options.
    told = {field: getattr(options, field) for field in Plan.__dataclass_fields__ if field != "only"}
    plan = Plan(**told, only=[word.strip() for word in options.only.split(",") if word.strip()])
    done = optimise(
        version, plan, tell=partial(Console(stderr=True).print, highlight=False, markup=False, emoji=False)
    )
    for one, verdict in zip(done.evidence, done.verdicts, strict=True):
        ratio = one.speed.ratio(done.evidence[0].speed)
        mark = "kept" if one is done.kept else "passed" if verdict.passed else "refused"
        yield f"{one.name:22} {ratio:5.2f} x  {one.score.name} {one.score.value}  {mark}: {verdict.reason}"
    for refused, reason in done.refused.items():
        yield f"{refused:22} refused: {reason}"
    if options.out is not None:
        save(optimise_report(version.card, plan, done), options.out)
        yield f"wrote {options.out / 'report.html'}, report.json, report.md"
    if done.kept is None:
        yield "no candidate passed: the model is served as it is"
    elif options.keep:
        published = keep(options.repository, version, done, plan)
        yield f"kept {done.kept.name} as {published.card.name}/{published.card.version}"
    else:
        yield f"{done.kept.name} may be kept: run again with --keep"
