"""`openai:MODEL@URL`: any server with chat completions; the key, where one is needed, is OPENAI_API_KEY."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from typing import Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from evaluate.judges.options import read_key
from evaluate.messages import encode_picture, split_messages
from evaluate.predictor import PredictorInfo, StoppedError
from evaluate.preview import Preview
from evaluate.sample import Generation
from internvl.conversation import Conversation
from internvl.errors import InputError

_HOME = "https://api.openai.com/v1"
_RETRIES = 8
"""About forty seconds of waiting, twice as long each time; a server that names a time is given it."""
_SECONDS = 300.0
"""For one answer, before it is asked for again."""
_OF_ONE_PROMPT = (400, 413, 422)
_SETTINGS = ("model", "max_tokens", "max_completion_tokens", "temperature", "seed")


@dataclass(frozen=True, slots=True)
class Server:
    """What an argument names.

    Attributes:
        model: as the server calls it.
        url: that the paths of the API begin with.
        concurrency: questions at the same time.
    """

    model: str
    url: str
    concurrency: int = 16


class OpenAIPredictor:
    """A model behind a server."""

    def __init__(self, server: Server) -> None:
        import openai

        self.server = server
        self.key = read_key()
        if not self.key and server.url == _HOME:
            raise InputError(
                f"OPENAI_API_KEY: expected a key for {_HOME}, got none; export it, or name another server: "
                f"openai:{server.model}@http://localhost:8000/v1"
            )
        # The client waits and asks again by itself: after a cut connection, a time-out, and codes 408, 409, 429, 5xx.
        self.client = openai.OpenAI(
            api_key=self.key or "none", base_url=server.url, max_retries=_RETRIES, timeout=_SECONDS
        )
        self.processor = make_messages

    def generate(self, batch: Sequence[list[dict[str, Any]]], generation: Generation) -> list[str | InputError]:
        """One text per prompt, or why this one was refused.

        Raises:
            StoppedError: the server answers no more, with what it has answered.
        """
        options = self._choose_options(generation)
        stopped = Event()

        def ask(messages: list[dict[str, Any]]) -> str | InputError | None:
            if stopped.is_set():
                return None
            try:
                return self._ask(messages, options)
            except StoppedError as error:
                stopped.set()
                reasons.append(error)
                return None

        reasons: list[StoppedError] = []
        with ThreadPoolExecutor(self.server.concurrency) as pool:
            answers = list(pool.map(ask, batch))
        if reasons:
            raise StoppedError(str(reasons[0]), answers)
        return [answer for answer in answers if answer is not None]

    def _choose_options(self, generation: Generation) -> dict[str, Any]:
        if generation.num_beams > 1:
            raise InputError(
                f"num_beams: expected 1, because servers do not search with beams, got {generation.num_beams}; "
                "use --num-beams 1"
            )
        if generation.min_new_tokens > 1:
            raise InputError(
                f"min_new_tokens: expected at most 1, because servers take no lower limit, got "
                f"{generation.min_new_tokens}; evaluate the model's folder instead: hf:<folder>"
            )
        if generation.top_k is not None:
            raise InputError(
                f"top_k: expected none, because servers do not draw from so many tokens, got {generation.top_k}; "
                "evaluate the model's folder instead: hf:<folder>"
            )
        limit = "max_completion_tokens" if self.server.url == _HOME else "max_tokens"  # the newer name; few know it
        options = {limit: generation.max_new_tokens, "temperature": generation.temperature, "seed": generation.seed}
        return options if generation.top_p is None else options | {"top_p": generation.top_p}

    def _ask(self, messages: Any, options: dict[str, Any]) -> str | InputError:
        import openai

        try:
            reply = self.client.chat.completions.create(model=self.server.model, messages=messages, **options)
            choice = reply.choices[0]
            text = choice.message.content
        except openai.APIStatusError as error:
            return self._judge(error)
        except openai.APIConnectionError as error:
            reason = self._clean(error.__cause__ or error)
            raise StoppedError(
                f"server: expected an answer of {self.server.url}, got {reason} {_RETRIES + 1} times; "
                "the same command goes on once it runs"
            ) from None
        except (openai.OpenAIError, AttributeError, IndexError, TypeError, ValueError) as error:
            raise StoppedError(
                f"server: expected a chat completion of {self.server.url}, got {self._clean(error)}; check the address "
                "(most end in /v1)"
            ) from None
        if choice.finish_reason == "content_filter":
            return InputError("server: expected an answer, got the content filter; nothing can be done")
        return text or ""

    def _judge(self, error: Any) -> InputError:
        """What concerns one prompt is its record; all else stops the run, because every prompt would meet it."""
        status, reason = error.status_code, self._clean(error)
        if status in _OF_ONE_PROMPT and getattr(error, "param", None) not in _SETTINGS:
            return InputError(f"server: expected an answer, got code {status}: {reason}; look at this prompt")
        remedy = "the same command goes on later"
        if status in (401, 403):
            remedy = "check OPENAI_API_KEY"
        elif status < 500 and status not in (408, 409, 429):
            remedy = "check the model's name and the address"
        raise StoppedError(
            f"server: expected answers of {self.server.model} at {self.server.url}, got code {status}: {reason}; "
            f"{remedy}"
        ) from None

    def _clean(self, error: BaseException) -> str:
        """A reason on one line, and without the key: some servers repeat it."""
        reason = " ".join(str(error).split()) or type(error).__name__
        return (reason.replace(self.key, "***") if self.key else reason)[:300]


def describe(argument: str) -> PredictorInfo:
    """The model's name and the address are all that is known of it."""
    server = read_argument(argument)
    name = re.sub(r"[^\w.-]+", "_", server.model).strip("_.")
    return PredictorInfo(f"openai_{name}", f"openai:{server.model}@{server.url}")


def load(argument: str, device: Any) -> OpenAIPredictor:
    """Nothing is asked yet."""
    return OpenAIPredictor(read_argument(argument))


def preview(argument: str) -> Preview:
    """Messages as they are sent; no key is needed."""
    read_argument(argument)
    return Preview(make_messages)


def read_argument(argument: str) -> Server:
    """`MODEL` or `MODEL@URL`, and `?concurrency=N` after the address.

    Raises:
        InputError: there is no model, or the address is none.
    """
    found = re.fullmatch(r"(?P<model>.*?)(@(?P<url>https?://.*))?", argument, re.DOTALL)
    assert found is not None, "everything matches"
    url = found["url"] or os.environ.get("OPENAI_BASE_URL") or _HOME
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise InputError("openai: expected an address without a password, got one with; put it into OPENAI_API_KEY")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    count = options.pop("concurrency", "16")
    if not found["model"].strip() or parts.scheme not in ("http", "https") or not parts.netloc or options:
        raise InputError(
            "openai: expected MODEL, MODEL@http://HOST/v1 or MODEL@http://HOST/v1?concurrency=N, got model "
            f"{found['model']!r}, address {parts.scheme}://{parts.netloc}{parts.path} and options "
            f"{', '.join(options) or 'that are known'}; correct it"
        )
    if not count.isdecimal() or not 1 <= int(count) <= 1000:
        raise InputError(f"openai: expected concurrency from 1 to 1000, got {count!r}; correct it")
    address = urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))
    return Server(found["model"], address, int(count))


def make_messages(chat: Conversation) -> list[dict[str, Any]]:
    """A conversation as the API takes it; words alone are a string, which every server understands."""
    messages: list[dict[str, Any]] = []
    try:
        for message in split_messages(chat):
            if len(message.parts) == 1 and isinstance(message.parts[0], str):
                messages.append({"role": message.role, "content": message.parts[0]})
                continue
            parts = [
                {"type": "text", "text": part}
                if isinstance(part, str)
                else {"type": "image_url", "image_url": {"url": encode_picture(part)}}
                for part in message.parts
            ]
            messages.append({"role": message.role, "content": parts})
    except InputError as error:
        raise type(error)(f"{chat.source}: {error}") from None
    return messages
