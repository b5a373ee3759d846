// The page: log in where keys are needed, take pictures, show what becomes of them.

import { call, follow, send, useToken } from "./api.js";
import { refreshHistory, startHistory } from "./history.js";
import { resultCard } from "./result.js";
import { announce, clockTime, el, fileSize, limits, percent, say, showProblem } from "./words.js";

const LARGE = 8_000_000; // bytes from which a single picture is a job, so that a lost connection loses nothing
const $ = (id) => document.getElementById(id);
const cards = $("cards");
let sending = false;

async function start() {
  $("drop-note").textContent = say("drop_note", {
    formats: say("formats"), files: limits.files, size: fileSize(limits.bytes), video: fileSize(limits.video_bytes), minutes: limits.minutes,
    host: location.host, days: limits.days,
  });
  $("login").addEventListener("submit", logIn);
  takeFiles();
  try {
    await enter(await call("GET", "/v1/session"));
  } catch (problem) {
    if (problem.code === "unauthorized") $("login").hidden = false;
    else showProblem(problem.message);
  }
}

async function logIn(event) {
  event.preventDefault();
  const field = $("key");
  const key = field.value.trim();
  field.value = "";
  try {
    await enter(await call("POST", "/v1/session", { key }));
    $("login").hidden = true;
    showProblem(null);
  } catch (problem) {
    showProblem(problem.message);
    field.focus();
  }
}

async function enter(session) {
  useToken(session.csrf);
  if (session.csrf !== null) {
    $("who").hidden = false;
    $("who").querySelector("span").textContent = say("logged_in", { name: session.name });
    $("who").querySelector("button").addEventListener("click", async () => {
      await call("DELETE", "/v1/session");
      location.reload();
    });
  }
  $("work").hidden = false;
  const { model, card, limits: general } = await call("GET", "/v1/model");
  $("limits-list").replaceChildren(...general.map((limit) => el("li", {}, limit)));
  $("model-limits").replaceChildren(...card.limits.map((limit) => el("li", {}, limit)));
  $("model").textContent = `${say("model")}: ${model.name} ${model.version}. ${say("licence")}: ${model.license}`;
  await startHistory(openEarlier);
}

function takeFiles() {
  const drop = $("drop");
  const input = $("files");
  input.addEventListener("change", () => {
    const chosen = [...input.files];
    input.value = "";
    upload(chosen);
  });
  for (const kind of ["dragenter", "dragover"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
  }
  document.addEventListener("dragleave", (event) => event.relatedTarget === null && drop.classList.remove("over"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    upload([...event.dataTransfer.files]);
  });
  document.addEventListener("paste", (event) => {
    const pasted = [...event.clipboardData.files];
    if (pasted.length) upload(pasted);
  });
}

// Only to say early what is too large; the service looks at the content.
function isVideo(file) {
  return file.type.startsWith("video/") || /\.(mp4|m4v|mov|mkv|webm|avi|3gp)$/i.test(file.name);
}

function refusal(files) {
  if (files.length > limits.files) return say("too_many", { n: files.length, most: limits.files });
  const most = (file) => (isVideo(file) ? limits.video_bytes : limits.bytes);
  const big = files.find((file) => file.size > most(file));
  return big ? say("too_big", { name: big.name, size: fileSize(big.size), most: fileSize(most(big)) }) : null;
}

async function upload(files) {
  if (!files.length || sending || $("work").hidden) return;
  const no = refusal(files);
  showProblem(no);
  if (no) return;
  sending = true;
  const form = new FormData();
  form.append("operating_point", $("point").value);
  form.append("all_faces", $("all-faces").checked);
  form.append("explain", true);
  for (const file of files) form.append("file", file, file.name);
  const asJob = files.length > 1 || files[0].size > LARGE;
  try {
    const { status, answer } = await sent(files, form, asJob ? { Prefer: "respond-async" } : {});
    if (status === 200) showCard(answer);
    else await followAll(answer.analyses);
  } catch (problem) {
    if (problem.code !== "aborted") showProblem(problem.message);
  } finally {
    sending = false;
    $("sending").hidden = true;
    refreshHistory();
  }
}

function sent(files, form, headers) {
  const box = $("sending");
  const bar = $("sent");
  const label = box.querySelector("label");
  label.textContent = files.length > 1 ? say("sending", { n: files.length, total: files.length }) : say("sending_one", { name: files[0].name });
  announce(label.textContent);
  bar.value = 0;
  box.hidden = false;
  const request = send("/v1/analyses", form, headers, (share) => {
    bar.value = share;
    if (share === 1) {
      label.textContent = say("analysing");
      bar.removeAttribute("value"); // how long it will take is not known
    }
  });
  box.querySelector("button").onclick = request.abort;
  return request.promise;
}

async function followAll(analyses) {
  $("sending").hidden = true;
  analyses.toReversed().forEach((analysis) => place(waitingCard(analysis)));
  // One after the other: they are done in this order, and browsers open few connections to one host.
  for (const analysis of analyses) {
    const last = await follow(analysis, (now) => progressOf(now));
    if (last) await replaceCard(last);
  }
}

function waitingCard(analysis) {
  const label = el("label", { for: `p-${analysis.id}` }, say("waiting"));
  return el("article", { class: "card", id: `a-${analysis.id}`, "aria-labelledby": `name-${analysis.id}` },
    el("h3", { id: `name-${analysis.id}` }, analysis.file.name),
    el("div", { class: "busy" }, label, el("progress", { id: `p-${analysis.id}`, max: 1, value: 0 }),
      el("button", { type: "button", class: "quiet", onclick: () => call("POST", `${analysis.links.self}/cancel`).catch((problem) => showProblem(problem.message)) }, say("cancel"))));
}

function progressOf(analysis) {
  const bar = $(`p-${analysis.id}`);
  if (!bar) return;
  const running = analysis.state === "running";
  const left = analysis.seconds_left;
  const words = left === null ? say(running ? "analysing" : "waiting") : say("time_left", { p: percent(analysis.progress), left: clockTime(left).slice(0, -2) });
  bar.closest(".busy").querySelector("label").textContent = words;
  if (running && analysis.progress === 0) bar.removeAttribute("value");
  else bar.value = analysis.progress;
}

async function replaceCard(analysis) {
  const whole = await call("GET", analysis.links.self).catch(() => null);
  if (whole) showCard(whole);
  else $(`a-${analysis.id}`)?.remove();
}

function showCard(analysis) {
  const card = resultCard(analysis, remove);
  const old = $(`a-${analysis.id}`);
  if (old) old.replaceWith(card);
  else place(card);
  const name = analysis.file.name;
  const word = analysis.report === null ? (analysis.state === "cancelled" ? "cancelled" : "failed") : "done";
  announce(say(word, { name, verdict: analysis.text?.verdict }));
  return card;
}

function place(card) {
  $("results").hidden = false;
  cards.prepend(card);
}

async function openEarlier(analysis) {
  showProblem(null);
  try {
    const whole = await call("GET", analysis.links.self);
    if (["queued", "running"].includes(whole.state)) {
      await followAll([whole]);
      return;
    }
    const card = showCard(whole);
    card.scrollIntoView({ block: "start" });
    card.querySelector("h3").focus({ preventScroll: true });
  } catch (problem) {
    showProblem(problem.message);
  }
}

async function remove(analysis) {
  try {
    await call("DELETE", analysis.links.self);
    $(`a-${analysis.id}`)?.remove();
    $("results").hidden = cards.childElementCount === 0;
    announce(say("deleted", { name: analysis.file.name }));
    $("content").focus();
    refreshHistory();
  } catch (problem) {
    showProblem(problem.message);
  }
}

start();
