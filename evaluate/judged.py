"""From stored answers to verdicts of a judge, who is asked for nothing that was answered before."""

from __future__ import annotations

import asyncio
import json
import math
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluate.jsonl import read_object
from evaluate.judges.account import LEAST_COVERAGE, describe_plan, make_account
from evaluate.judges.call import Call, Series, Server
from evaluate.judges.desk import Desk
from evaluate.judges.drive import Graded, Work, count, drive, look_up
from evaluate.judges.money import Budget, find_price
from evaluate.judges.openai import Counts, OpenAIJudge
from evaluate.judges.options import KEY, JudgeOptions, read_key
from evaluate.judges.pace import Pace
from evaluate.judges.replay import ReplayStore
from evaluate.judges.sentences import tell_verdicts
from evaluate.judges.store import ReplyStore
from evaluate.judging import Rubric, Verdict
from evaluate.sample import Prediction, Sample
from evaluate.scorer import NoAnswer
from internvl.errors import InputError
from internvl.progress import Progress

if TYPE_CHECKING:
    from evaluate.run import Run

ROUNDS = "judge_rounds.json"


class CoverageError(InputError):
    """Too few answers were judged for a number."""

    exit_code = 3


class PendingError(InputError):
    """The judge could not be asked; everything else is done."""

    exit_code = 4


class StoppedError(InputError):
    """Ctrl-C."""

    exit_code = 130


@dataclass(frozen=True, slots=True)
class Judged:
    """What a judging gave.

    Attributes:
        texts: what the scorer reads in place of the answers, for each pass.
        rows: one record per answer of the first pass, for people.
        account: of it all.
    """

    texts: tuple[tuple[str, ...], ...]
    rows: tuple[Mapping[str, Any], ...]
    account: Mapping[str, Any]


@dataclass
class Judging:
    """The judgings of one command, which share its money.

    Attributes:
        options: of the command.
        spent: dollars so far, with what requests that broke off can have cost.
        checked: judges that have answered a first cheap call.
    """

    options: JudgeOptions = field(default_factory=JudgeOptions)
    spent: float = 0.0
    checked: set[Server] = field(default_factory=set)

    def judge(
        self, run: Run, rubric: Rubric, samples: Sequence[Sample], predictions: Sequence[Prediction], folder: Path
    ) -> Judged | None:
        """Have all answers of a run judged.

        Args:
            run: which.
            rubric: how.
            samples, predictions: one each per answer.
            folder: gets `judged.jsonl`.

        Returns:
            None where nothing should be asked, only told.

        Raises:
            PendingError: there is no key.
            CoverageError: too few verdicts are good.
            JudgeError: the judge cannot be asked.
            InputError: the options do not fit.
        """
        case = Case(self, run, rubric, samples, predictions, folder)
        return case.judge()


class Case:
    """One judging."""

    def __init__(
        self,
        judging: Judging,
        run: Run,
        rubric: Rubric,
        samples: Sequence[Sample],
        predictions: Sequence[Prediction],
        folder: Path,
    ) -> None:
        self.judging, self.options = judging, judging.options
        self.run, self.rubric, self.folder = run, rubric, folder
        self.samples, self.predictions = samples, predictions
        self.server = self.options.find_server(rubric.model)
        self.is_asking = self.options.judge == "openai"
        self.price = find_price(self.server, self.options.prices)
        left = None if self.options.most is None else max(0.0, self.options.most - judging.spent)
        if left is not None and self.price is None and self.is_asking:
            raise InputError(
                f"--max-cost: expected a price for {self.server.model} at {self.server.host}, got none; name a file "
                "with --judge-prices"
            )
        self.budget = Budget(self.price, left)
        self.counts = Counts()
        self.desk = self._make_desk()
        self.identity = " ".join((rubric.name, self.server.model, self.server.url, self.options.profile))
        self.rounds = _read_rounds(folder).get(self.identity, {})

    def judge(self) -> Judged | None:
        """All passes, and what they amount to."""
        numbers = range(self.options.repeats)
        works = {number: self._prepare(number) for number in numbers}
        plan = {number: [look_up(work, self.desk.find) for work in works[number]] for number in numbers}
        if self.options.rejudge:
            self._count_rounds(plan)
            works = {number: self._prepare(number) for number in numbers}
            plan = {number: [look_up(work, self.desk.find) for work in works[number]] for number in numbers}
        calls = [one for run in plan.values() for one in run if isinstance(one, Call)]
        line = describe_plan(self.run.name, len(self.samples), calls, self.server, self.price)
        if self.options.dry:
            print(line, flush=True)
            return None
        print(line, file=sys.stderr, flush=True)
        if not self.server.is_dated and self.is_asking:
            print(
                f"warning: {self.run.name}: the judge {self.server.model} has no date in its name and may be another "
                "model tomorrow; name a dated one with --judge-model",
                file=sys.stderr,
            )
        passes = [[one for one in run if isinstance(one, Graded)] for run in plan.values()]
        if calls:
            passes = self._ask(works)
        return self._finish(passes)

    def _make_desk(self) -> Desk:
        options = self.options
        # Not in the folder of the run, which --fresh deletes: the replies were paid for.
        store = ReplyStore(options.store or self.run.folder.absolute().parent.parent / "judge_replies")
        if options.judge.startswith("replay:"):
            return Desk(ReplayStore(Path(options.judge.partition(":")[2])))
        return Desk(store, store, absence="--judge none, and there is no stored reply")

    def _prepare(self, number: int) -> list[Work]:
        """The gradings of one pass; an answer that was never given needs none."""
        works = []
        for sample, prediction in zip(self.samples, self.predictions, strict=True):
            series = Series(number, self.rounds.get(f"{number}:{sample.id}", 0))
            works.append(Work(sample.id, self._begin(sample, prediction), self._call(series)))
        return works

    def _begin(self, sample: Sample, prediction: Prediction) -> Any:
        if prediction.error is not None:
            return lambda: _skip(prediction.error or "")
        return lambda: self.rubric.grade(prediction.text, sample)

    def _call(self, series: Series) -> Any:
        return lambda request: Call(self.server, self.options.shape(request), series)

    def _count_rounds(self, plan: Mapping[int, Sequence[Graded | Call]]) -> None:
        """Ask what is to be judged again in a new round."""
        wanted = ("ok", "refusal", "parse_error") if self.options.rejudge == "all" else ("refusal", "parse_error")
        for number, run in plan.items():
            for sample, one in zip(self.samples, run, strict=True):
                if isinstance(one, Graded) and one.keys and one.verdict.status in wanted:
                    name = f"{number}:{sample.id}"
                    self.rounds[name] = self.rounds.get(name, 0) + 1

    def _ask(self, works: Mapping[int, Sequence[Work]]) -> list[list[Graded]]:
        if self.is_asking:
            key = read_key()
            if not key:
                raise PendingError(
                    f"{self.run.name}: expected the key of the judge {self.server.model} in {KEY}, got none; the "
                    "predictions are kept, export the key, then: sh evaluate.sh score "
                    f"{shlex.quote(str(self.run.folder))}{self.options.words()}"
                )
            rate = self.options.rpm / 60 if self.options.rpm else math.inf
            judge = OpenAIJudge(
                self.server,
                key,
                self.budget,
                Pace(self.options.concurrency, rate),
                self.options.seconds,
                counts=self.counts,
            )
            self.desk.judge = judge
        try:
            return asyncio.run(self._ask_all(works))
        except KeyboardInterrupt:
            raise StoppedError(
                f"{self.run.name}: stopped; {self.counts.calls:,} replies are stored, and the same command goes on"
            ) from None
        finally:
            self.judging.spent += self.budget.spent + self.budget.unsure

    async def _ask_all(self, works: Mapping[int, Sequence[Work]]) -> list[list[Graded]]:
        judge = self.desk.judge
        line = [work for run in works.values() for work in run]
        ended: list[Graded] = []
        try:
            if isinstance(judge, OpenAIJudge):
                await _open(judge)
                if self.server not in self.judging.checked:
                    await judge.check()
                    self.judging.checked.add(self.server)
            with Progress(f"{self.run.name}: judged", "answers", first=5.0) as progress:

                def watch(number: int, graded: Graded) -> None:
                    ended.append(graded)
                    if len(ended) % 16 == 0 or len(ended) == len(line) or len(line) < 200:
                        progress.update(len(ended), len(line), self._note(ended))

                graded = await drive(line, self.desk.ask, workers=2 * self.options.concurrency, watch=watch)
        finally:
            if isinstance(judge, OpenAIJudge):
                await judge.close()
        each = len(self.samples)
        return [graded[begin : begin + each] for begin in range(0, len(graded), each)]

    def _note(self, ended: Sequence[Graded]) -> str:
        statuses = count(ended)
        parts = [f"ok {statuses['ok']:,}"]
        parts += [f"{name} {number:,}" for name, number in statuses.items() if number and name != "ok"]
        if self.counts.retrying:
            parts.append(f"retrying {self.counts.retrying:,}")
        return ", ".join(parts)

    def _finish(self, passes: Sequence[Sequence[Graded]]) -> Judged:
        names = [sample.id for sample in self.samples]
        account = make_account(
            self.rubric.name, self.server, self.options, passes, names, self.desk, self.budget, self.counts
        )
        self.folder.mkdir(exist_ok=True, parents=True)
        records = [
            {
                "id": name,
                "pass": number,
                "status": one.verdict.status,
                "reason": one.verdict.reason,
                "text": str(one.verdict),
                "keys": one.keys,
            }
            for number, run in enumerate(passes)
            for name, one in zip(names, run, strict=True)
        ]
        _write(self.folder / "judged.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in records))
        if self.rounds:
            rounds = _read_rounds(self.folder) | {self.identity: self.rounds}
            _write(self.folder / ROUNDS, json.dumps(rounds, ensure_ascii=False) + "\n")
        if account["incomplete"] and not (self.options.allow_failures and account["statuses"]["ok"]):
            self._refuse(account, passes)
        texts = [
            tuple(self._text(one.verdict, prediction) for one, prediction in zip(run, self.predictions, strict=True))
            for run in passes
        ]
        shown = [{name: row[name] for name in ("status", "reason", "text")} for row in records[: len(names)]]
        return Judged(tuple(texts), tuple(shown), account)

    def _refuse(self, account: Mapping[str, Any], passes: Sequence[Sequence[Graded]]) -> None:
        """Say what is missing for a number; one of other verdicts must not stand beside these."""
        for name in ("report.json", "samples.jsonl"):
            (self.folder / name).unlink(missing_ok=True)
        named = "; ".join(f"{status}: {', '.join(ids[:3])}" for status, ids in account["failed"].items())
        bad = (one.verdict for run in passes for one in run if one.verdict.status != "ok")
        reason = next((f" ({verdict.reason})" for verdict in bad if verdict.reason), "")
        remedy = "the same command asks again what failed, --rejudge failed also the rest"
        if not self.is_asking:
            remedy = "without --judge the rest is asked"
        elif self.options.rejudge:
            remedy = "the same command without --rejudge asks again what failed"
        raise CoverageError(
            f"{self.run.name}: NO NUMBER: expected verdicts on {LEAST_COVERAGE:.0%} of the answers, got "
            f"{tell_verdicts(account).removeprefix('INCOMPLETE, ')}: {named}{reason}; "
            f"{remedy}, see {self.folder}/judged.jsonl; "
            "--allow-judge-failures makes a number that is marked incomplete"
        )

    @staticmethod
    def _text(verdict: Verdict, prediction: Prediction) -> str:
        return NoAnswer() if prediction.error is not None else verdict


def _skip(reason: str) -> Any:
    """The grading of an answer that was never given: it asks nothing."""
    yield from ()
    return Verdict("", "no_prediction", reason)


async def _open(judge: OpenAIJudge) -> None:
    try:
        await judge.open()
    except (ValueError, ImportError) as error:
        if getattr(error, "name", None) == "openai":
            raise
        # The address may hold a password: it is not shown.
        raise InputError(
            "proxy: expected addresses with http or https in HTTP_PROXY, HTTPS_PROXY and ALL_PROXY, got "
            f"{type(error).__name__} for another; correct it, or name the host of the judge in NO_PROXY"
        ) from None


def _read_rounds(folder: Path) -> dict[str, dict[str, int]]:
    path = folder / ROUNDS
    remedy = "delete it, and first replies count again"
    content = read_object(path, remedy) if path.is_file() else {}
    for rounds in content.values():
        if not isinstance(rounds, dict) or not all(isinstance(number, int) for number in rounds.values()):
            raise InputError(f"{path}: expected a number for each answer, got {str(rounds)[:80]}; {remedy}")
    return content


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(text.encode("utf-8", "replace"))
    partial.replace(path)
