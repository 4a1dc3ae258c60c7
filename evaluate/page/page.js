"use strict";
(() => {
  const STEP = 25, SHORT = 480, LINES = 10;
  const VERDICTS = ["right", "partly", "wrong", "unscored", "error"];
  const find = (id) => document.getElementById(id);
  const { runs, samples } = JSON.parse(find("data").textContent);
  const state = { benchmark: "", verdict: "", search: "" };
  let pictures = null, matching = [], shown = 0;

  // All text of data and models goes through here and becomes a text node, never markup.
  const make = (tag, className, ...children) => {
    const node = document.createElement(tag);
    if (className) node.className = className;
    node.append(...children);
    return node;
  };

  const count = (number) => number.toLocaleString("en");

  function haystack(sample) {
    if (sample.haystack === undefined) {
      const parts = [sample.id, sample.prompt, sample.answer, sample.error || ""];
      for (const value of [sample.target, ...Object.values(sample.more)]) {
        parts.push(typeof value === "string" ? value : JSON.stringify(value));
      }
      sample.haystack = parts.join("\n").toLowerCase();
    }
    return sample.haystack;
  }

  function marked(text) {
    const wanted = state.search.trim().toLowerCase(), lower = text.toLowerCase();
    // A few letters change their length in lower case; such a text is shown without marks.
    if (!wanted || lower.length !== text.length) return [text];
    const parts = [];
    let from = 0;
    for (let at = lower.indexOf(wanted); at >= 0 && parts.length < 200; at = lower.indexOf(wanted, from)) {
      parts.push(text.slice(from, at), make("mark", "", text.slice(at, at + wanted.length)));
      from = at + wanted.length;
    }
    return [...parts, text.slice(from)];
  }

  function textNode(text, className) {
    const lines = text.split("\n");
    let end = Math.min(text.length, SHORT);
    if (lines.length > LINES) end = Math.min(end, lines.slice(0, LINES).join("\n").length);
    const body = make("div", `text ${className || ""}`);
    if (text.length - end < 80) {
      body.append(...marked(text));
      return body;
    }
    if (/[\uD800-\uDBFF]/.test(text[end - 1])) end -= 1;
    const button = make("button", "link");
    button.type = "button";
    const write = (open) => {
      body.replaceChildren(...marked(open ? text : `${text.slice(0, end)} …`));
      button.textContent = open ? "Show less" : `Show all ${count(text.length)} characters`;
      button.setAttribute("aria-expanded", String(open));
    };
    button.addEventListener("click", () => write(button.getAttribute("aria-expanded") !== "true"));
    write(false);
    return make("div", "", body, button);
  }

  const isScalar = (value) => value === null || typeof value !== "object";
  const isEmpty = (value) => value === null || value === "" || (typeof value === "object" && !Object.keys(value).length);

  function valueNode(value) {
    if (isEmpty(value)) return make("span", "none", "none");
    if (isScalar(value)) return textNode(String(value));
    if (Array.isArray(value) && value.every(isScalar)) {
      const counts = new Map();
      for (const item of value) counts.set(String(item), (counts.get(String(item)) || 0) + 1);
      const list = make("ul", "values");
      for (const [item, times] of counts) {
        const entry = make("li", "", ...marked(item));
        if (times > 1) entry.append(" ", make("span", "", `× ${times}`));
        list.append(entry);
      }
      return list;
    }
    if (Array.isArray(value)) return textNode(JSON.stringify(value));
    const filled = Object.entries(value).filter(([, inner]) => !isEmpty(inner));
    if (filled.length === 1) return valueNode(filled[0][1]);
    return describe(filled.map(([key, inner]) => [key, isScalar(inner) || Array.isArray(inner) ? valueNode(inner) : textNode(JSON.stringify(inner))]));
  }

  function describe(pairs) {
    const list = make("dl");
    for (const [name, node] of pairs) list.append(make("dt", "", name), make("dd", "", node));
    return list;
  }

  function pictureNode(place, number, sample) {
    if (typeof place === "string") return make("p", "", place.startsWith("and ") ? place : `Missing picture: ${place}`);
    pictures ??= JSON.parse(find("pictures").textContent);
    const [bytes, width, height, realWidth, realHeight] = pictures[place];
    const image = make("img"), button = make("button", "", image);
    image.src = `data:image/jpeg;base64,${bytes}`;
    [image.width, image.height, image.alt, image.decoding] = [width, height, `Picture ${number + 1} of sample ${sample.id}`, "async"];
    button.type = "button";
    button.setAttribute("aria-label", `Enlarge picture ${number + 1} of sample ${sample.id}`);
    button.addEventListener("click", () => {
      const box = find("enlarged"), large = box.querySelector("img");
      [large.src, large.alt] = [image.src, image.alt];
      box.querySelector("p").textContent = `${image.alt}; the original has ${realWidth} × ${realHeight} pixels, this one ${width} × ${height}`;
      box.showModal();
    });
    return button;
  }

  function sampleNode(sample) {
    const run = runs[sample.run];
    const link = make("a", "", ...marked(sample.id));
    link.href = "#" + new URLSearchParams({ benchmark: run.name, search: sample.id });
    const top = make("p", "top", make("span", `verdict ${sample.verdict}`, sample.verdict));
    if (sample.score !== null && sample.score !== 0 && sample.score !== 1) top.append(make("span", "", `score ${Number(sample.score.toFixed(4))}`));
    top.append(make("span", "", run.label), link);
    const answer = sample.answer ? textNode(sample.answer, sample.answer.length < 120 ? "answer" : "") : make("span", "none", "none");
    const pairs = [["Prompt", textNode(sample.prompt)], ["Answer", answer], ["Target", valueNode(sample.target)]];
    if (sample.error !== null) pairs.push(["Error", textNode(sample.error)]);
    const more = Object.entries(sample.more).filter(([, value]) => !isEmpty(value));
    for (const [name, value] of more) pairs.push([name, valueNode(value)]);
    const card = make("article", sample.pictures.length ? "" : "plain");
    if (sample.pictures.length) {
      const side = make("div", sample.pictures.length > 1 ? "pictures several" : "pictures");
      side.append(...sample.pictures.map((place, number) => pictureNode(place, number, sample)));
      card.append(side);
    }
    card.append(make("div", "", top, describe(pairs)));
    return card;
  }

  function showMore() {
    const next = matching.slice(shown, shown + STEP).map(sampleNode), list = find("list");
    list.append(...next);
    shown += next.length;
    const left = matching.length - shown;
    find("more").hidden = left === 0;
    find("more").textContent = `Show ${Math.min(left, STEP)} more`;
    const found = `${count(matching.length)} of ${count(samples.length)} samples`;
    find("count").textContent = left ? `${found}, the first ${count(shown)} are listed` : found;
    return next[0];
  }

  function filter() {
    const wanted = state.search.trim().toLowerCase();
    const kept = samples.filter((sample) => (!state.benchmark || runs[sample.run].name === state.benchmark)
      && (!wanted || haystack(sample).includes(wanted)));
    for (const input of find("verdicts").querySelectorAll("input")) {
      const number = kept.filter((sample) => !input.value || sample.verdict === input.value).length;
      input.parentNode.querySelector("span").textContent = count(number);
    }
    matching = state.verdict ? kept.filter((sample) => sample.verdict === state.verdict) : kept;
    shown = 0;
    find("list").replaceChildren();
    showMore();
  }

  function readHash() {
    const given = new URLSearchParams(location.hash.slice(1));
    for (const key of Object.keys(state)) state[key] = given.get(key) || "";
    if (!runs.some((run) => run.name === state.benchmark)) state.benchmark = "";
    if (!VERDICTS.includes(state.verdict)) state.verdict = "";
    find("run").value = state.benchmark;
    find("search").value = state.search;
    for (const input of find("verdicts").querySelectorAll("input")) input.checked = input.value === state.verdict;
    filter();
  }

  function change(key, value) {
    state[key] = value;
    const given = Object.entries(state).filter(([, text]) => text);
    history.replaceState(null, "", given.length ? "#" + new URLSearchParams(given) : location.href.split("#")[0]);
    filter();
  }

  const anyRun = make("option", "", "All");
  anyRun.value = "";
  find("run").append(anyRun, ...runs.map((run) => {
    const option = make("option", "", run.label);
    option.value = run.name;
    return option;
  }));
  for (const verdict of ["", ...VERDICTS.filter((name) => samples.some((sample) => sample.verdict === name))]) {
    const input = make("input");
    [input.type, input.name, input.value] = ["radio", "verdict", verdict];
    input.addEventListener("change", () => change("verdict", verdict));
    find("verdicts").append(make("label", "", input, ...(verdict ? [make("i", verdict)] : []), verdict || "all", make("span")));
  }
  find("run").addEventListener("change", (event) => change("benchmark", event.target.value));
  find("search").addEventListener("input", (event) => change("search", event.target.value));
  find("filters").addEventListener("submit", (event) => event.preventDefault());
  find("more").addEventListener("click", () => {
    const first = showMore();
    if (first) {
      first.tabIndex = -1;
      first.focus({ preventScroll: true });
    }
  });
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault(); // the address keeps the view
    find("samples").focus();
  });
  window.addEventListener("hashchange", () => {
    readHash();
    find("samples").scrollIntoView();
  });
  if (samples.length) {
    find("filters").hidden = false;
    readHash();
  } else {
    find("count").textContent = "No samples to show.";
  }
})();
