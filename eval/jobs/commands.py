"""A job as a command line of ours. What REST reports is by construction what the command reports."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import yaml  # comes with BentoML

from eval.jobs.asked import Asked, Audit, Gate, Side, Sided
from eval.jobs.catalogue import Catalogue
from eval.jobs.errors import BadParameter, HostNotAllowed, UnknownName
from eval.jobs.reaching import Address, Endpoint
from eval.jobs.settings import JobSettings
from eval.jobs.states import Kind

__all__ = ["ASSAY", "MESSAGE", "VERBS", "Commands"]

ASSAY = (sys.executable, "-m", "eval")
VERBS: Mapping[Kind, str] = {
    "evaluation": "evaluate",
    "audit": "audit",
    "comparison": "compare",
    "gate": "gate",
}
RULES, MESSAGE = "rules.yaml", "message.txt"
RUNS: tuple[Kind, ...] = ("evaluation",)
REPORTS: tuple[Kind, ...] = ("evaluation", "audit")


@dataclass(frozen=True, slots=True)
class Commands:
    """Makes argument lists; refuses what the operator does not allow.

    Attributes:
        run_of: the folder of a job of one of some kinds that is done; raises UnknownName for any other.
        program: what the verb and its options are given to.
    """

    settings: JobSettings
    catalogue: Catalogue
    run_of: Callable[[str, Collection[Kind]], Path]
    program: tuple[str, ...] = ASSAY

    def of(self, kind: Kind, asked: Asked, folder: Path) -> list[str]:
        """The argument list, whose report goes to `folder`; never for a shell.

        Options are `--name=value`, so that no value can be taken for an option.

        Raises:
            HostNotAllowed: of an address.
            UnknownName: of data, template, card, secret or run.
            BadParameter: more than the operator lets one job ask.
        """
        self._check(kind, asked)
        subjects = asked.urls
        if isinstance(asked, Sided):
            subjects = [self._subject(asked, side) for side in asked.sides]
        if isinstance(asked, Gate):
            against = (f"--baseline={told}" for told in subjects[1:])
            reports = (f"--report={self.run_of(job, REPORTS)}" for job in asked.reports)
            subjects = [str(folder / RULES), subjects[0], *against, *reports]
        options = (*self._reaching(asked.endpoint), *self._options(asked))
        authorised = (f"--authorised={urlsplit(url).hostname}" for url in asked.urls if _attacks(asked))
        end = [f"--out={folder}", "--resume", "--quiet"]
        end += [f"--message={folder / MESSAGE}"] if isinstance(asked, Gate) else []
        return [*self.program, VERBS[kind], *subjects, *options, *authorised, *end]

    def _check(self, kind: Kind, asked: Asked) -> None:
        settings, told = self.settings, asked.options
        hosts, name = settings.hosts, "ASSAY_EVAL_HOSTS"
        if _attacks(asked):
            hosts, name = settings.audit_hosts, "ASSAY_EVAL_AUDIT_HOSTS"
        for url in asked.urls:
            if not hosts.allow(url):
                raise HostNotAllowed(
                    f"no job may {VERBS[kind]} {url} from here; the operator lists hosts in {name}"
                )
        _, _, drawn = str(told.get("data")).partition("scenes:")[2].partition(":")
        attacks, timing = (
            (asked.rules.audit, asked.rules.latency) if isinstance(asked, Gate) else (None, None)
        )
        for what, most in (
            (told.get("limit") or told.get("samples"), settings.max_images),
            (attacks.samples if attacks is not None else None, settings.max_images),
            (timing.pairs if timing is not None else None, settings.max_images),
            (int(drawn) if drawn.isdecimal() else None, settings.max_images),
            (told.get("max_queries"), settings.max_queries),
        ):
            if what is not None and what > most:
                raise BadParameter(f"a job may ask for at most {most} images or queries here, got {what}")

    def lay(self, asked: Asked, folder: Path) -> None:
        """Write what the command reads from its folder."""
        if isinstance(asked, Gate):
            rules = asked.rules.model_dump(exclude_none=True)
            (folder / RULES).write_text(yaml.safe_dump(rules), encoding="utf-8")

    def _subject(self, asked: Sided, side: Side) -> str:
        if side.job is not None:
            return str(self.run_of(side.job, RUNS))
        url = side.url or (asked.endpoint.url if asked.endpoint is not None else "")
        return f"{url}#{side.model}" + ("" if side.version is None else f"/{side.version}")

    def _options(self, asked: Asked) -> Iterator[str]:
        for name, value in asked.options.items():
            option = f"--{name.replace('_', '-')}"
            if name == "data" and value is not None:
                yield f"--data={self.catalogue.data(value)}"
            elif name == "slice":
                yield from (f"--slice={column}" for column in value or ())
            elif isinstance(value, bool):
                yield option if value else f"--no-{name}"
            elif isinstance(value, list):
                yield f"{option}={','.join(map(str, value))}"
            elif value is not None:
                yield f"{option}={value}"

    def _reaching(self, how: Address | None) -> Iterator[str]:
        if how is not None and how.max_qps is not None:
            yield f"--max-qps={how.max_qps}"
        if not isinstance(how, Endpoint):
            return
        if how.protocol != "auto":
            yield f"--endpoint={how.protocol}"
        if how.template is not None:
            yield f"--template={self.catalogue.form(how.template, '.yaml')}"
        if how.card is not None:
            yield f"--card={self.catalogue.form(how.card, '.json')}"
        for name, value in sorted(how.headers.items()):
            _, dollar, variable = value.partition("$")
            if dollar and not os.environ.get(variable):
                raise UnknownName(f"the operator has set no ${variable}")
            yield f"--header={name}={value}"
        if how.timeout_s is not None:
            yield f"--timeout={how.timeout_s}"


def _attacks(asked: Asked) -> bool:
    """Whether a job attacks what it asks: an audit, or a gate that makes one."""
    return isinstance(asked, Audit) or (isinstance(asked, Gate) and asked.rules.audit is not None)
