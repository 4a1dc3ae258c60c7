"""Whether a judge's client can be believed: kills, the share of the permitted rate that it uses, the limit of money.

    python -m benchmarks.judge --points 20

A server on loopback plays the judge. Kills: the command that scores is killed by SIGKILL at random moments and goes on
until it is done; no request may come again whose reply was stored. Rate: servers permit so many requests per second,
keep the leave for so many in a bucket, and refuse the rest, with and without naming a time; measured is the share of
what they permitted, from the first request to the last reply. Money: the limit is tried at several amounts; what the
server has charged must stay below it, and no further call may have fitted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluate.judges.call import CallError, Server
from evaluate.judges.money import Budget, Price, bound_usage
from evaluate.judges.openai import OpenAIJudge
from evaluate.judges.pace import Pace
from evaluate.judging import Message, Request
from tests.evaluate import shelf
from tests.judge_server import Answer, JudgeServer, serve_judge

ROOT = Path(__file__).resolve().parents[1]
KEY = "sk-secret-0123456789"


def kill_and_go_on(folder: Path, *, points: int, count: int, seconds: float, seed: int = 0) -> dict[str, Any]:
    """Kill the command so many times, and let it finish.

    Args:
        folder: for the run.
        points: kills.
        count: answers to judge.
        seconds: of a reply.
        seed: of the moments.
    """
    source = random.Random(seed)
    run = shelf.write_shelf(folder, count)
    store = folder / "results" / "judge_replies"
    stored: set[str] = set()
    again: set[str] = set()

    def decide(words: str, times: int) -> Answer:
        if words in stored:
            again.add(words)
        return Answer(str(len(words) % 10), seconds=seconds)

    kills = 0
    with serve_judge(JudgeServer(decide)) as server:
        while True:
            begin = count_files(store)
            process = start(run.folder, server.url)
            if kills < points:
                goal = begin + source.randint(0, max(1, 2 * (count - begin) // max(1, points - kills)))
                while process.poll() is None and count_files(store) < min(goal, count - 1):
                    time.sleep(0.002)
                process.send_signal(signal.SIGKILL)
            code = process.wait(120)
            kills += code == -signal.SIGKILL
            stored |= {read_words(path) for path in store.glob("*/*.json")}
            if code == 0:
                break
            assert code == -signal.SIGKILL, code
        asked, served = dict(server.asked), dict(server.served)
    assert not again, f"asked again although stored: {sorted(again)[:3]}"
    report = json.loads((run.folder / "report.json").read_text())
    assert report["judging"]["statuses"]["ok"] == count
    left = [path.name for path in store.rglob("*") if path.is_file() and not path.name.startswith(".")]
    assert len(left) == count
    return {
        "kills": kills,
        "answers": count,
        "requests": sum(asked.values()) - asked.get("Hi", 0),
        "replies that a kill cost": sum(served.values()) - served.get("Hi", 0) - count,
    }


def start(folder: Path, url: str) -> subprocess.Popen[bytes]:
    """The command that scores."""
    words = ["score", folder, "--judge-base-url", url, "--judge-concurrency", 16]
    return subprocess.Popen(
        [sys.executable, "-m", "evaluate", *map(str, words)],
        cwd=ROOT,
        env={**os.environ, "OPENAI_API_KEY": KEY, "NO_PROXY": "127.0.0.1", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def count_files(store: Path) -> int:
    """Replies that are stored."""
    return sum(1 for _ in store.glob("*/*.json"))


def read_words(path: Path) -> str:
    """The last words of the request of a record."""
    return json.loads(path.read_text())["request"]["messages"][-1]["parts"][-1]["text"]


@dataclass
class Bucket:
    """A server's permission: so many requests per second, and leave for so many saved up."""

    rate: float
    size: float
    names_time: bool
    left: float = -1.0
    last: float = 0.0
    refused: int = 0

    def decide(self, words: str, times: int) -> Answer:
        """Let a request pass, or refuse it."""
        now = time.monotonic()
        self.left = self.size if self.left < 0 else min(self.size, self.left + (now - self.last) * self.rate)
        self.last = now
        if self.left >= 1:
            self.left -= 1
            return Answer(seconds=0.05)
        self.refused += 1
        wait = math.ceil((1 - self.left) / self.rate)
        return Answer(
            status=429,
            error={"error": {"message": "slow down"}},
            headers={"retry-after": str(wait)} if self.names_time else {},
        )


def measure_rate(bucket: Bucket, count: int) -> dict[str, Any]:
    """Ask so many things of a server that permits so much."""
    requests = [ask(str(number)) for number in range(count)]

    async def run(url: str) -> float:
        judge = OpenAIJudge(Server("judge", url), KEY, Budget(), Pace(64))
        await judge.open()
        await judge.complete(ask("warm"))
        bucket.left = -1.0
        begin = time.monotonic()
        line = iter(requests)

        async def work() -> None:  # as many as the commands have
            for request in line:
                await judge.complete(request)

        await asyncio.gather(*(work() for _ in range(128)))
        seconds = time.monotonic() - begin
        await judge.close()
        return seconds

    with serve_judge(JudgeServer(bucket.decide)) as server:
        seconds = asyncio.run(run(server.url))
    permitted = bucket.size + bucket.rate * seconds
    return {
        "permitted per second": bucket.rate,
        "bucket": bucket.size,
        "names a time": bucket.names_time,
        "calls": count,
        "seconds": round(seconds, 1),
        "refused": bucket.refused,
        "share of the rate": round(min(1.0, count / seconds / bucket.rate), 3),
        "share with the full bucket": round(count / permitted, 3),
    }


def ask(words: str, max_tokens: int = 50) -> Request:
    """A request of these words."""
    return Request((Message("user", (words,)),), max_tokens)


def spend(most: float, *, count: int, seed: int = 0, cut: float = 0.0) -> dict[str, Any]:
    """Ask until the money is used up.

    Args:
        most: dollars.
        count: calls that are wanted.
        seed: of what they really cost.
        cut: share of the replies that break off, and are charged.
    """
    source, price = random.Random(seed), Price(30.0, 60.0, 15.0)
    charged = 0.0

    def decide(words: str, times: int) -> Answer:
        nonlocal charged
        usage = source.randint(5, 60), source.randint(1, 50)
        charged += (usage[0] - 10 if usage[0] >= 10 else usage[0]) * price.input / 1e6 + usage[1] * price.output / 1e6
        charged += min(usage[0], 10) * price.cached / 1e6 if usage[0] >= 10 else 0
        return Answer(usage=usage, part=0.5 if source.random() < cut else 1.0, seconds=0.002)

    budget = Budget(price, most)

    async def run(url: str) -> int:
        judge = OpenAIJudge(Server("judge", url), KEY, budget, Pace(64), draw=lambda failures: 0.0)
        await judge.open()
        asked = (judge.complete(ask(str(number))) for number in range(count))
        results = await asyncio.gather(*asked, return_exceptions=True)
        await judge.close()
        strange = [one for one in results if isinstance(one, BaseException) and not isinstance(one, CallError)]
        assert not strange, strange[0]
        return sum(not isinstance(one, BaseException) for one in results)

    with serve_judge(JudgeServer(decide)) as server:
        done = asyncio.run(run(server.url))
    worst = price.cost(bound_usage(ask("999"), price))
    assert charged <= most, f"charged {charged}, at most {most}"
    left = most - budget.spent - budget.unsure
    assert done == count or left < worst, f"{left} left, which is enough for another call"
    return {"limit": most, "charged": round(charged, 6), "calls": done, "worst call": round(worst, 6)}


def main() -> None:
    """Run all of it; an AssertionError says what was not kept."""
    parser = argparse.ArgumentParser(description="Kills, rate and money of judging, against a server on loopback.")
    parser.add_argument("--points", type=int, default=20, metavar="N", help="kills (20)")
    parser.add_argument("--answers", type=int, default=400, metavar="N", help="to judge (400)")
    parser.add_argument("--seconds", type=float, default=30.0, metavar="S", help="of asking at each rate (30)")
    options = parser.parse_args()
    os.environ["NO_PROXY"] = "127.0.0.1"
    buckets = [Bucket(50, 50, True), Bucket(50, 50, False), Bucket(20, 20, True), Bucket(50, 10, False)]
    buckets += [Bucket(50, 5, True), Bucket(10, 1, False)]
    rates = []
    for bucket in buckets:
        rates.append(measure_rate(bucket, round(bucket.rate * options.seconds)))
        print(rates[-1], flush=True)
    money = [spend(most, count=300, seed=number) for number, most in enumerate((0.02, 0.1, 0.5))]
    money += [spend(most, count=300, seed=number, cut=0.2) for number, most in enumerate((0.1, 0.5))]
    print(money, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        kills = kill_and_go_on(Path(folder), points=options.points, count=options.answers, seconds=0.05)
    print(json.dumps({"kills": kills, "rates": rates, "money": money}))


if __name__ == "__main__":
    main()
