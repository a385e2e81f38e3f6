"""Run the commands of a page of the runbook, in its order, with values for its placeholders."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from dualsync.runtime.settings import SideName
from sandbox.environment.processes import ROOT
from tests.e2e.drill.case_report import Answer
from tests.e2e.drill.environment import Drill

YES = {"pause", "rotate-key"}
"""Commands that ask for confirmation; `--yes` is added to them."""

PLACEHOLDER = re.compile(r"\b[A-Z]+(?:_[A-Z]+)*\b")
"""A value that the operator fills in: KEY_ID."""

SERVICES = {"s3api": "s3"}
"""Services whose names differ between the AWS command line and boto3: boto3's by the command line's."""


class PageError(Exception):
    """The next command of the page is not the expected one."""


class Page:
    """The commands of one section of the runbook."""

    def __init__(self, drill: Drill, title: str) -> None:
        text = (ROOT / "docs" / "runbook.md").read_text()
        section = text.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]
        blocks = re.findall(r"^ *```shell\n(.*?)^ *```$", section, re.M | re.S)
        self._lines: list[str] = [line.strip() for block in blocks for line in block.splitlines()]
        self._drill = drill

    @property
    def left(self) -> Sequence[str]:
        """Return the commands that were not run."""
        return self._lines

    def dualsync(self, start: str) -> Answer:
        """Run the next command, which must begin with `start`. Raises `PageError`."""
        words = shlex.split(self._next(start))[1:]
        if words[0] in YES and (words[0] != "rotate-key" or "--run" in words):
            words.append("--yes")
        return self._drill.dualsync(*words)

    def aws(self, start: str, values: Sequence[Mapping[str, str]]) -> list[Any]:
        """Make the call of the next command once per set of values, and return the answers. Raises `PageError`."""
        line = self._next(start)
        return [self._call(_filled_in(line, given)) for given in values]

    def _next(self, start: str) -> str:
        if not self._lines or not self._lines[0].startswith(start):
            raise PageError(f"the page has {self._lines[:1]} instead of {start!r}")
        return self._lines.pop(0)

    def _call(self, line: str) -> Any:
        _, service, operation, *options = shlex.split(line)
        given = dict(zip(options[::2], options[1::2], strict=True))
        side = SideName(given.pop("--profile").removeprefix("dualsync-"))
        client = self._drill.stage.cloud.client(side, SERVICES.get(service, service))
        call = getattr(client, operation.replace("-", "_"))
        self._drill.note(f"$ {line}")
        return call(**{_camel(name): value for name, value in given.items()})


def _filled_in(line: str, values: Mapping[str, str]) -> str:
    return PLACEHOLDER.sub(lambda found: values[found[0]], line)


def _camel(option: str) -> str:
    """Return the API's name of an option: `VersionId` for `--version-id`."""
    return "".join(word.capitalize() for word in option.strip("-").split("-"))
