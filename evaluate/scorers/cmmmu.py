"""CMMMU: choice (several letters may be right), true or false, and blanks, in Chinese.

Rule of the authors, as lmms-eval has it. They draw at random where a choice has no letter, and where as many sentences
say true as false: here that is wrong, and `accuracy_expected` is what drawing gives on average (an empty choice is
wrong with the authors, too). Their words for true are looked for first, as parts of words, so that 不正确 is true;
`accuracy_corrected` looks for false first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evaluate.scorer import Scores
from evaluate.scorers.choice import Options, average
from evaluate.scorers.open_answer import Value, find_tails, matches_any, read_number

CHOICE, TRUE_OR_FALSE, BLANK = "选择", "判断", "填空"
DOMAINS = {
    "艺术与设计": ("艺术", "艺术理论", "设计", "音乐"),
    "商业": ("会计", "经济", "金融", "管理", "营销"),
    "科学": ("生物", "化学", "地理", "数学", "物理"),
    "健康与医学": ("基础医学", "临床医学", "诊断学与实验室医学", "制药", "公共卫生"),
    "人文社会科学": ("历史", "文献学", "社会学", "心理学"),
    "技术与工程": ("农业", "建筑学", "计算机科学", "电子学", "能源和电力", "材料", "机械工程"),
}
_DOMAIN_OF = {subject: domain for domain, subjects in DOMAINS.items() for subject in subjects}

_BLANK_MARKS = ("是", "为", "所以", "等于", "方案", "选择", "正确答案", "因此", "最后", "答案", "结果")
_LAST_MARKS = ("=",)
_TRUTH_MARKS = ("是", "为", "所以", "判断", "陈述", "说法", "表达", "答案", "结果")
_AMBIGUOUS = ("对错", "是否正确", "否正确", "或者", "是否", "正确性", "对不")
_TRUE = ("正确", "对", "准确", "肯定", "对的")
_FALSE = ("不对", "错误", "不正确", "不准确", "不合适", "否定", "错的", "错")
_NUMBERS = (
    re.compile(r"-?\d{1,3}(?:，\d{3})+"),
    re.compile(r"-?(?<!\d)\d+(?:\.\d+)?[eE][+-]?\d+"),
    re.compile(r"-?(?:\d+\.\d+|\.\d+|\d+)(?![eE][+-]?\d+)(?!，\d)"),
)
_PIECES = re.compile("[。\n]")
_LATIN = re.compile("[a-zA-Z]")
_LONGER = 20
_MORE_LETTERS = 2


@dataclass(frozen=True, slots=True)
class CmmmuTarget:
    """The kind of question, the right answer, the options by letter, and the subject."""

    kind: str
    answer: str
    options: Options
    subject: str


def find_numbers(text: str) -> list[str]:
    """Numbers with Chinese commas, with exponents, and plain ones, in this order."""
    return [number for pattern in _NUMBERS for number in pattern.findall(text)]


def read_letters(text: str, options: Options) -> str:
    """All letters that are named most often: in brackets, or else anywhere, or else by their texts; may be empty.

    Example:
        >>> options = {"A": "红色", "B": "蓝色"}
        >>> [read_letters(text, options) for text in ("(A)(B)(A)", "A、B", "蓝色", "无法判断")]
        ['A', 'AB', 'B', '']
    """
    for mark in ",.!?;:'":
        text = text.strip(mark)
    wordings = (lambda name: f"({name})", lambda name: name, lambda name: options[name])
    for word in wordings:
        counts = {name: text.count(word(name)) for name in options if word(name)}
        most = max(counts.values(), default=0)
        if most:
            return "".join(name for name, count in counts.items() if count == most)
    return ""


def read_blank(text: str, answer: str) -> set[Value]:
    """All that an answer to a blank may mean, less what is much longer than the right one.

    Example:
        >>> sorted(read_blank("答案为 42 米。", "42"), key=str)
        ['42 米', 42.0]
    """
    text = text.strip().strip("。").strip()
    tails = find_tails(_PIECES.split(text), _BLANK_MARKS, _LAST_MARKS) or [text]
    parts = [*tails, *(number for tail in tails for number in find_numbers(tail))]
    return {value for part in parts for value in _normalize(part, answer)}


def _normalize(text: str, answer: str) -> list[Value]:
    text = text.strip()
    number = read_number(text)
    if number is not None:
        return [number]
    if len(text) > len(answer) + _LONGER:
        return []
    return [] if _count_letters(text) > _count_letters(answer) + _MORE_LETTERS else [text]


def _count_letters(text: str) -> int:
    return len(_LATIN.findall(text))


def read_statements(text: str) -> set[str]:
    """The parts of an answer that may say true or false.

    Example:
        >>> read_statements("是否正确需要判断。答案是错")
        {'错'}
    """
    text = text.strip().strip("。").strip()
    tails = find_tails(_PIECES.split(text), _TRUTH_MARKS, ()) or [text]
    return set(tails)


def read_truth(text: str, *, false_first: bool = False) -> bool | None:
    """What most of the statements say; None where as many say the one as the other.

    Example:
        >>> read_truth("该说法是错误的。"), read_truth("不正确"), read_truth("不正确", false_first=True)
        (False, True, False)
    """
    balance = 0
    for statement in read_statements(text):
        if any(phrase in statement for phrase in _AMBIGUOUS):
            continue
        true, false = (any(word in statement for word in words) for words in (_TRUE, _FALSE))
        if true and not (false and false_first):
            balance += 1
        elif false:
            balance -= 1
    return balance > 0 if balance else None


def score_answer(text: str, target: CmmmuTarget) -> tuple[bool | None, float]:
    """Whether an answer is right (None: cannot be read), and the chance that the authors' script counts it as right."""
    if target.kind == CHOICE:
        letters = read_letters(text, target.options)
        if letters:
            return letters == target.answer, float(letters == target.answer)
        drawn = text.strip() and target.answer in target.options
        return None, 1 / len(target.options) if drawn else 0.0
    if target.kind == TRUE_OR_FALSE:
        truth = read_truth(text)
        right = truth == (target.answer == "对")
        return (None, 0.5) if truth is None else (right, float(right))
    right = matches_any(read_blank(text, target.answer), _normalize(target.answer, target.answer))
    return right, float(right)


@dataclass(frozen=True, slots=True)
class CmmmuScorer:
    """Accuracy in percent over all questions, also per kind, subject and domain."""

    name: str = "cmmmu"
    primary: str = "accuracy"
    higher_is_better: bool = True

    def __call__(self, predictions: Sequence[str], targets: Sequence[CmmmuTarget]) -> Scores:
        """Score all answers."""
        scored = [score_answer(text, target) for text, target in zip(predictions, targets, strict=True)]
        samples = tuple(float(right or False) for right, _ in scored)
        corrected = [
            read_truth(text, false_first=True) is (target.answer == "对") if target.kind == TRUE_OR_FALSE else value
            for text, target, value in zip(predictions, targets, samples, strict=True)
        ]
        metrics = {
            "accuracy": average(samples),
            "accuracy_expected": average([chance for _, chance in scored]),
            "accuracy_corrected": average(corrected),
        }
        members: dict[str, list[float]] = {}
        for value, target in zip(samples, targets, strict=True):
            members.setdefault(f"accuracy/kind={target.kind}", []).append(value)
            members.setdefault(f"accuracy/subject={target.subject}", []).append(value)
            if target.subject in _DOMAIN_OF:
                members.setdefault(f"accuracy/domain={_DOMAIN_OF[target.subject]}", []).append(value)
        metrics |= {name: average(members[name]) for name in sorted(members)}
        return Scores(metrics, samples, num_unparsed=sum(right is None for right, _ in scored))

    def statistics(self, predictions: Sequence[str], targets: Sequence[CmmmuTarget]) -> list[tuple[float, float]]:
        """Right answers and answers."""
        return [(value, 1.0) for value in self(predictions, targets).samples if value is not None]

    def combine(self, sums: Any) -> Any:
        """Percent of the sums."""
        return 100 * sums[..., 0] / sums[..., 1]
