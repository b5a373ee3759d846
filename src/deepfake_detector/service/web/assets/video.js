// A video: one frame with its boxes, a slider through the frames that were looked at, a curve for each person.

import { clockTime, el, percent, say } from "./words.js";

const HEIGHT = 24; // of a curve, in its own units; its width is 100

// Of an analysis of a video whose file is kept: the frame with its slider, and the timeline that goes with it.
export function videoView(analysis, faceBoxes) {
  const { report, links } = analysis;
  const name = analysis.file.name;
  const times = [...new Set(report.persons.flatMap((person) => person.timeline.map((seen) => seen.time)))].sort((a, b) => a - b);
  if (!times.length) return { frame: still(analysis), timeline: null };
  const { width, height } = report.input;
  const end = Math.max(report.input.duration ?? 0, times.at(-1));
  const image = el("img", { width, height, alt: "" });
  const boxes = el("div", { class: "layer" });
  const caption = el("figcaption", { class: "small soft" });
  const slider = el("input", { type: "range", id: `frame-${analysis.id}`, min: 0, max: times.length - 1, step: 1, oninput: () => show(Number(slider.value)) });
  const curves = report.persons.map((person, at) => curve(person, report.faces[at], report.decision.threshold, end, jumpTo));

  function show(at) {
    const time = times[at];
    const here = report.persons.filter((person) => seenAt(person, time));
    image.src = links.frames.replace("{milliseconds}", String(Math.ceil(time * 1000)));
    image.alt = here.length ? say("picture_alt", { name, n: here.length }) : say("picture_alt_none", { name });
    boxes.replaceChildren(faceBoxes(width, height, here.map((person) => ({ ...report.faces[report.persons.indexOf(person)], box: seenAt(person, time).box, label: person.id }))));
    const words = say("frame_words", { time: clockTime(time), end: clockTime(end) });
    caption.textContent = words;
    slider.setAttribute("aria-valuetext", words);
    curves.forEach((one) => one.mark(time));
  }

  function jumpTo(time) {
    const at = times.reduce((best, one, index) => (Math.abs(one - time) < Math.abs(times[best] - time) ? index : best), 0);
    slider.value = at;
    show(at);
  }

  const worst = report.persons[report.faces.findIndex((face) => face.p_fake === report.p_fake)] ?? report.persons[0];
  jumpTo(worst.time);
  const frame = el("div", { class: "picture" },
    el("figure", {}, el("div", { class: "stack" }, image, boxes), caption),
    el("p", { class: "slider" }, el("label", { for: slider.id }, say("frame")), slider));
  const timeline = el("div", {}, el("h4", {}, say("timeline")), el("p", { class: "small soft" }, say("timeline_note")),
    ...curves.map((one) => one.element));
  return { frame, timeline };
}

// The frames in which a person looks most like a fake, from near; each leads to its place on the timeline.
function exhibits(person, jumpTo) {
  if (!person.exhibits.length) return null;
  const shown = person.exhibits.map((one) => el("li", {}, el("button", { type: "button", class: "exhibit", onclick: () => jumpTo(one.time) },
    el("img", { src: one.overlay ?? one.picture, alt: "" }),
    el("span", { class: "small" }, say("exhibit", { time: clockTime(one.time), p: percent(one.p_fake) })))));
  return el("ul", { class: "exhibits" }, ...shown);
}

// A video in which nobody was found has a frame to show, and no timeline.
function still(analysis) {
  const { links, report, file } = analysis;
  const { width, height } = report.input;
  return el("div", { class: "picture" },
    el("div", { class: "stack" }, el("img", { src: links.preview, alt: say("picture_alt_none", { name: file.name }), width, height })));
}

function seenAt(person, time) {
  return person.timeline.find((seen) => seen.time === time);
}

function curve(person, face, threshold, end, jumpTo) {
  const x = (time) => (end > 0 ? (time / end) * 100 : 0);
  const y = (share) => HEIGHT - share * HEIGHT;
  const cursor = el("line", { class: "cursor", y1: 0, y2: HEIGHT });
  const points = person.timeline.map((seen) => `${x(seen.time).toFixed(2)},${y(seen.p_fake).toFixed(2)}`).join(" ");
  const drawn = el("svg", { class: "curve", viewBox: `0 0 100 ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    ...person.segments.map((part) => el("rect", { class: "part", x: x(part.start), y: 0, width: Math.max(x(part.end) - x(part.start), 0.8), height: HEIGHT })),
    el("line", { class: "level", x1: 0, x2: 100, y1: y(threshold), y2: y(threshold) }),
    el("polyline", { class: "line", points }),
    cursor);
  drawn.addEventListener("click", (event) => {
    const place = drawn.getBoundingClientRect();
    jumpTo(((event.clientX - place.left) / place.width) * end);
  });
  const parts = person.segments.map((part) => el("li", {}, el("button", { type: "button", class: "quiet", onclick: () => jumpTo((part.start + part.end) / 2) },
    say("segment", { start: clockTime(part.start), end: clockTime(part.end), p: percent(part.score) }))));
  const element = el("div", { class: "person" },
    el("p", { class: "row small" }, el("strong", {}, say("person_number", { n: person.id })),
      el("span", { class: `pill ${face.verdict}` }, say(`headline_${face.verdict}`)), el("span", { class: "number" }, percent(face.p_fake))),
    drawn,
    parts.length ? el("div", {}, el("p", { class: "small" }, say("segments")), el("ul", { class: "segments small" }, ...parts)) : null,
    exhibits(person, jumpTo));
  const mark = (time) => ["x1", "x2"].forEach((end) => cursor.setAttribute(end, x(time)));
  return { element, mark };
}
