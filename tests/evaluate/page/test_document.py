"""The page in a real browser: what it shows, that text of others never runs, and that filters and widths hold."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from evaluate.page.document import DEFAULT_LIMITS, Limits, render_page
from evaluate.summary import read_summary
from tests.evaluate.results import SETTINGS, write_beginning, write_picture, write_run

HOSTILE = (
    '</script></title></pre>"\'><img src=x onerror="top.ran=1"><script>top.ran=1</script><!--<script>&amp;{{data}}'
)
DRIVER = """<!doctype html><body><pre id="said">nothing</pre><script>
const wait = (test) => new Promise((resolve) => {
  const look = () => test() ? resolve() : setTimeout(look, 10);
  look();
});
async function open(hash, width) {
  const frame = document.createElement("iframe");
  Object.assign(frame, { src: "report.html" + hash, width, height: 900 });
  document.body.append(frame);
  await wait(() => frame.contentDocument?.getElementById("count")?.textContent);
  return frame.contentWindow;
}
const list = (page) => [...page.document.querySelectorAll(".top a")].map((link) => link.textContent);
async function look() {
  const said = { widths: {} };
  const page = await open("", 1400), $ = (id) => page.document.getElementById(id);
  for (const width of [360, 1000, 1400]) {
    const { documentElement: root } = (await open("", width)).document;
    said.widths[width] = [root.clientWidth, root.scrollWidth];
  }
  said.scripts = page.document.querySelectorAll("script").length;
  said.images = [...page.document.images].filter((image) => !/^(data:image\\/jpeg|$)/.test(image.src)).length;
  said.text = page.document.querySelectorAll("article")[2].textContent;
  said.title = page.document.title;
  const added = page.document.createElement("script");
  added.textContent = "top.added = 1";
  page.document.body.append(added);
  said.first = list(page).length;
  $("more").click();
  said.second = list(page).length;
  said.counts = [...$("verdicts").querySelectorAll("label")].map((label) => label.textContent);
  said.missing = page.document.querySelector(".pictures p").textContent;
  const button = page.document.querySelector(".pictures button");
  await wait(() => button.querySelector("img").naturalWidth);
  button.click();
  said.enlarged = [$("enlarged").open, $("enlarged").querySelector("p").textContent];
  $("enlarged").close();
  const type = (id, value, event) => {
    $(id).value = value;
    $(id).dispatchEvent(new page.Event(event));
  };
  type("search", "NEEDLE", "input");
  said.found = list(page);
  said.marks = [...page.document.querySelectorAll("mark")].map((mark) => mark.textContent);
  const show = page.document.querySelector("article .link");
  const length = () => page.document.querySelector("article").textContent.length;
  said.long = [length()];
  show.click();
  said.long.push(length(), show.getAttribute("aria-expanded"));
  type("search", "", "input");
  type("run", "zoo", "change");
  $("verdicts").querySelector("[value=wrong]").click();
  said.filtered = list(page);
  said.hash = page.location.hash;
  const again = await open(said.hash, 1400);
  said.again = list(again);
  again.location.hash = "#verdict=error";
  await wait(() => list(again)[0] !== said.again[0]);
  said.errors = list(again);
  said.ran = [window.ran ?? null, window.added ?? null];
  return said;
}
look().catch((error) => ({ error: String(error.stack) })).then((said) => {
  document.getElementById("said").textContent = JSON.stringify(said);
});
</script>"""


def write_all(folder: Path) -> Path:
    """Runs with everything that is hard to show."""
    picture = write_picture(folder.parent / "a.png")
    rows: list[dict[str, Any]] = [
        dict.fromkeys(("prompt", "prediction", "error", "kind"), HOSTILE)
        | {"id": HOSTILE, "target": {HOSTILE: [HOSTILE]}, "images": [HOSTILE], "score": 0.0, HOSTILE: "more"},
        {"images": [str(picture)] * 3, "prediction": "", "score": 0.0},
        {"prediction": "long " * 2000 + "needle \ud800 é 图", "score": 0.5, "target": None},
        {"prediction": "w" * 3000, "target": ["a", "a", 1.5, None], "score": None, "nested": {"a": {"b": [1]}}},
        *[{"target": {"answers": ["yes"] * 9 + ["no"]}} for _ in range(40)],
    ]
    write_run(
        folder / "zoo", rows, model=HOSTILE, protocol=HOSTILE, primary=HOSTILE, settings={**SETTINGS, "model": HOSTILE}
    )
    write_run(folder / "quickstart", [{}, {"score": 0.0}], model=HOSTILE)
    write_beginning(folder / "vqa-textvqa-val", 3, 5000)
    (folder / HOSTILE.replace("/", "∕")[:60]).mkdir()
    (folder / HOSTILE.replace("/", "∕")[:60] / "report.json").write_text(json.dumps(HOSTILE))
    return folder


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the browser says about a page from a file, without a network."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium and no google-chrome in PATH")
    folder = tmp_path_factory.mktemp("page")
    page = render_page(read_summary(write_all(folder / "model")), DEFAULT_LIMITS)
    (folder / "report.html").write_bytes(page.encode("utf-8", "replace"))
    (folder / "driver.html").write_text(DRIVER)
    switches = ("--headless=new", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files", "--dump-dom")
    command = [browser, *switches, f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=20000"]
    url = (folder / "driver.html").as_uri()
    done = subprocess.run([*command, url], capture_output=True, text=True, timeout=120, check=False)
    found = re.search(r'<pre id="said">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    content: dict[str, Any] = json.loads(html.unescape(found[1]))
    assert "error" not in content, content
    return content


def test_text_of_others_is_shown_and_never_runs(said: dict[str, Any]) -> None:
    assert said["ran"] == [None, None], "a script of others, or one that was added to the page, ran"
    assert said["scripts"] == 3
    assert said["images"] == 0
    assert said["title"] == f"{HOSTILE}: evaluation"
    assert said["text"].count(HOSTILE) >= 8
    assert said["missing"] == f"Missing picture: {HOSTILE} does not exist"


def test_page_never_scrolls_sideways(said: dict[str, Any]) -> None:
    assert sorted(said["widths"]) == ["1000", "1400", "360"]
    for width, (inner, scrolled) in said["widths"].items():
        assert int(width) - 20 <= inner <= int(width)
        assert scrolled == inner


def test_samples_come_in_steps_and_filters_are_in_the_address(said: dict[str, Any]) -> None:
    assert (said["first"], said["second"]) == (25, 46)
    assert said["counts"] == ["all46", "right41", "partly1", "wrong2", "unscored1", "error1"]
    assert said["filtered"] == said["again"] == ["zoo-1"]
    assert said["hash"] == "#benchmark=zoo&verdict=wrong"
    assert said["errors"] == [HOSTILE]
    assert said["found"] == ["zoo-2"]


def test_long_answers_open_and_pictures_enlarge(said: dict[str, Any]) -> None:
    short, long, expanded = said["long"]
    assert short < 1000
    assert long > 9000
    assert expanded == "true"
    is_open, words = said["enlarged"]
    assert is_open
    assert words.endswith("the original has 900 × 600 pixels, this one 400 × 267")


def test_page_says_what_it_does_not_show_and_is_the_same_each_time(tmp_path: Path) -> None:
    summary = read_summary(write_all(tmp_path / "model"))
    page = render_page(summary, Limits(5, None))
    assert page == render_page(read_summary(tmp_path / "model"), Limits(5, None))
    assert "zoo: 5 of 44 shown" in page
    assert "incomplete: 3 of 5,000 answered" in page
    assert "<code>--samples all</code>" in page
    assert "shown" not in render_page(summary, Limits(None, None)).split('<form id="filters"')[0]
    # Nothing from outside, whatever the browser would allow.
    assert not re.search(r'(?:src|href)="(?!#)', page.split('<script type="application/json" id="data">')[0])


def test_page_of_runs_without_samples_is_a_table(tmp_path: Path) -> None:
    write_beginning(tmp_path / "zoo", 1, 2)
    (write_run(tmp_path / "quickstart") / "samples.jsonl").unlink()
    page = render_page(read_summary(tmp_path))
    assert "There is no samples.jsonl." in page
    assert '"samples":[]' in page
