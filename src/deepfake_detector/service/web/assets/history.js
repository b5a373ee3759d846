// Earlier analyses: a list with a filter, a page at a time.

import { call } from "./api.js";
import { el, say, showProblem } from "./words.js";

const PAGE = 20;
const list = document.getElementById("history");
const more = document.getElementById("more");
const empty = document.getElementById("history-empty");
const filter = document.getElementById("filter");
let next = null;
let open = () => {};

export function startHistory(onOpen) {
  open = onOpen;
  filter.addEventListener("change", refreshHistory);
  more.addEventListener("click", async () => {
    const first = await show(next);
    first?.focus();
  });
  return refreshHistory();
}

export function refreshHistory() {
  list.replaceChildren();
  return show(null);
}

async function show(cursor) {
  const place = `/v1/analyses?limit=${PAGE}${filter.value ? `&${filter.value}` : ""}${cursor ? `&cursor=${cursor}` : ""}`;
  try {
    const page = await call("GET", place);
    if (cursor === null) list.replaceChildren(); // two refreshes may have met
    const lines = page.analyses.map(line);
    list.append(...lines);
    next = page.next;
    more.hidden = next === null;
    empty.hidden = list.childElementCount > 0;
    return lines[0]?.querySelector("button");
  } catch (problem) {
    showProblem(problem.message);
    return null;
  }
}

function line(analysis) {
  const { name } = analysis.file;
  const word = analysis.verdict === null ? say(`state_${analysis.state}`) : say(`filter_${analysis.verdict}`);
  const created = new Date(analysis.created);
  return el("li", {},
    el("button", { type: "button", class: "quiet name", "aria-label": say("history_open", { name }), onclick: () => open(analysis) }, name),
    el("span", { class: `pill ${analysis.verdict ?? "error"}` }, word),
    el("time", { datetime: analysis.created }, created.toLocaleString()));
}
