"""A chat template as Jinja, as other tools read it: the same text as `internvl.template` for the same messages.

Messages have a string or a list of text and picture parts. A message whose text has one `<image>` slot per picture is
filled; otherwise the pictures stand where they are, each with a line of its own, as in training.
"""

from __future__ import annotations

import json

from internvl.template import ChatTemplate
from internvl.tokens import IMAGE_CONTEXT, IMAGE_SLOT

# One loop over the messages with one over the parts in it: servers look for that to decide what to put in.
_SOURCE = """\
{%- set ns = namespace(text='', words='', pictures=0, videos=0, line='') -%}
{%- if not messages or messages[0]['role'] != 'system' -%}
{{- $opening + $system + $system_end -}}
{%- endif -%}
{%- for message in messages -%}
{%- set ns.text = '' -%}
{%- if message['content'] is string -%}
{%- set ns.text = message['content'] -%}
{%- elif message['content'] -%}
{%- set ns.words = '' -%}{%- set ns.pictures = 0 -%}{%- set ns.videos = 0 -%}
{%- for part in message['content'] -%}
{%- if part['type'] == 'text' -%}{%- set ns.words = ns.words + part['text'] -%}
{%- elif part['type'] == 'video' -%}{%- set ns.videos = ns.videos + 1 -%}
{%- else -%}{%- set ns.pictures = ns.pictures + 1 -%}{%- endif -%}
{%- endfor -%}
{%- if ns.pictures and not ns.videos and ns.words.split($slot) | length == ns.pictures + 1 -%}
{%- set ns.text = ns.words.split($slot) | join($picture) -%}
{%- else -%}
{%- set ns.line = '' -%}
{%- for part in message['content'] -%}
{%- if part['type'] == 'text' -%}
{%- if part['text'].startswith($break) -%}{%- set ns.line = '' -%}{%- endif -%}
{%- set ns.text = ns.text + ns.line + part['text'] -%}{%- set ns.line = '' -%}
{%- else -%}
{%- set ns.text = ns.text + ns.line + ($video if part['type'] == 'video' else $picture) -%}{%- set ns.line = $break -%}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
{%- endif -%}
{%- if message['role'] == 'system' and loop.first -%}
{{- $opening + ns.text + $system_end -}}
{%- elif message['role'] == 'user' -%}
{{- $user_head + ($gap + ns.text + $user_end if ns.text else '') -}}
{%- elif message['role'] == 'assistant' -%}
{{- $assistant_head + ($gap + ns.text + $assistant_end if ns.text else '') -}}
{%- else -%}
{{- raise_exception('expected an optional system message, then user and assistant, got ' + message['role']) -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt and messages and messages[-1]['role'] == 'user' -%}
{{- $assistant_head -}}
{%- endif -%}
"""
_NAMES = "system_end", "user_head", "user_end", "assistant_head"


def write_jinja(template: ChatTemplate, *, video: str, start: str = "") -> str:
    """The template as Jinja.

    Args:
        template: with its system text, which stands where the messages have none.
        video: the token that stands for a video.
        start: the token that the tokenizer puts first, if it does.
    """
    texts = {name: getattr(template, name) for name in _NAMES}
    texts |= {"opening": start + template.system_head, "system": template.system, "gap": template.gap}
    texts |= {"assistant_end": template.assistant_end + template.trailer, "break": "\n"}
    texts |= {"slot": IMAGE_SLOT, "picture": IMAGE_CONTEXT, "video": video}
    source = _SOURCE
    # The long names first: `$system` is a part of `$system_end`.
    for name in sorted(texts, key=len, reverse=True):
        source = source.replace(f"${name}", json.dumps(texts[name], ensure_ascii=False))
    return source
