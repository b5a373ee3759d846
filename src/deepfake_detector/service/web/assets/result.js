// One analysis as a card: the picture with its faces, the verdict in plain words, and how it came about.

import { videoView } from "./video.js";
import { announce, clockTime, el, fileSize, percent, say } from "./words.js";

const ICONS = {
  fake: [["path", { d: "M22 3 42 39H2Z" }], ["path", { d: "M22 17v9M22 32.5v.1" }]],
  real: [["circle", { cx: 22, cy: 22, r: 19 }], ["path", { d: "m13.500 22.500 6 6 11-12" }]],
  uncertain: [
    ["rect", { x: 7, y: 7, width: 30, height: 30, rx: 4, transform: "rotate(45 22 22)" }],
    ["path", { d: "M17.500 18c0-6.500 9-6.500 9 0 0 4-4.500 4-4.500 7.500M22 31v.1" }],
  ],
  other: [["circle", { cx: 22, cy: 22, r: 19 }], ["path", { d: "M14 22h16" }]],
};

const MOST_MAPS = 8; // as many as a report shows

// The card of an analysis that has ended; `onDelete` is called when its button is pressed.
export function resultCard(analysis, onDelete) {
  const name = analysis.file.name;
  const title = el("h3", { id: `name-${analysis.id}`, tabindex: "-1" }, name);
  const card = el("article", { class: "card result", id: `a-${analysis.id}`, "aria-labelledby": title.id }, title);
  if (analysis.report === null) {
    card.append(el("div", { class: "facts alone" }, noReport(analysis), actions(analysis, onDelete)));
  } else {
    const { frame, timeline } = analysis.video ? video(analysis) : { frame: picture(analysis), timeline: null };
    card.append(frame, facts(analysis, onDelete), el("div", { class: "reasons" }, timeline, reasons(analysis)));
  }
  return card;
}

function noReport(analysis) {
  const cancelled = analysis.state === "cancelled";
  const why = cancelled ? say("cancelled_note") : analysis.error.message;
  return verdict("error", cancelled ? say("state_cancelled") : say("not_analysed"), why);
}

function verdict(kind, headline, sentence) {
  const [shape, mark] = ICONS[kind] ?? ICONS.other;
  const icon = el("svg", { viewBox: "0 0 44 44", "aria-hidden": "true" },
    el(shape[0], { ...shape[1], class: "icon-shape" }), el(mark[0], { ...mark[1], class: "icon-mark" }));
  return el("p", { class: `verdict ${kind}` }, icon,
    el("span", {}, el("strong", {}, headline), el("span", {}, sentence)));
}

function facts(analysis, onDelete) {
  const { report, text } = analysis;
  return el("div", { class: "facts" },
    verdict(report.verdict, say(`headline_${report.verdict}`), text.sentence),
    el("p", {}, say(`meaning_${report.verdict}`)),
    report.p_fake === null ? null : scale(report),
    text.faces.length ? faceTable(analysis) : null,
    listOf("warnings", [...report.warnings, ...text.cautions], "warnings"),
    provenance(text.provenance),
    details(analysis),
    actions(analysis, onDelete));
}

function scale(report) {
  const { threshold, real_below: realBelow } = report.decision;
  const values = { p: percent(report.p_fake), real: percent(realBelow), fake: percent(threshold) };
  const at = (share) => `${Math.min(Math.max(share * 100, 0), 100)}%`;
  const zone = (kind, from, to) => el("rect", { class: `zone-${kind}`, x: at(from), y: 5, width: at(to - from), height: 16 });
  const line = (kind, share, from, to) => el("line", { class: kind, x1: at(share), x2: at(share), y1: from, y2: to });
  return el("div", { class: "scale" },
    el("p", {}, say("probability", values)),
    el("svg", { role: "img", "aria-label": say("scale", values) },
      zone("real", 0, realBelow), zone("uncertain", realBelow, threshold), zone("fake", threshold, 1),
      line("zone-edge", realBelow, 5, 21), line("zone-edge", threshold, 5, 21), line("needle", report.p_fake, 0, 26)),
    el("ul", { class: "legend" }, ...["real", "uncertain", "fake"].map((kind) => el("li", { class: kind }, say(`scale_${kind}`, values)))));
}

function faceTable({ report, text, video }) {
  const who = video ? "persons" : "faces";
  const head = [video ? "person" : "face", "verdict", "chance", "note"].map((word) => el("th", { scope: "col" }, say(word)));
  const rows = text.faces.map((face, at) => el("tr", {},
    el("th", { scope: "row", class: "number" }, String(at + 1)),
    el("td", {}, el("span", { class: `pill ${report.faces[at].verdict}` }, face.verdict)),
    el("td", { class: "number" }, face.probability),
    el("td", {}, face.notes.join("; "))));
  return el("div", { class: "scroll", role: "region", "aria-label": say(who), tabindex: "0" },
    el("table", {}, el("caption", {}, say(who)), el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows)));
}

function listOf(title, texts, kind = "plain", note = null) {
  if (!texts.length) return null;
  return el("div", {}, el("h4", {}, say(title)), note && el("p", { class: "small soft" }, note),
    el("ul", { class: `${kind} small` }, ...texts.map((text) => el("li", {}, text))));
}

function provenance(texts) {
  return listOf("provenance", texts, "plain", say("provenance_note"));
}

// Where the score comes from, face by face.
function reasons(analysis) {
  const { text } = analysis;
  const told = text.faces.map((face, at) => [face.reasons, at]).filter(([said]) => said.length);
  if (!told.length) return null;
  const many = text.faces.length > 1;
  return el("div", {}, el("h4", {}, say("reasons")),
    ...told.flatMap(([said, at]) => [
      many ? el("h5", {}, say(analysis.video ? "person_number" : "face_number", { n: at + 1 })) : null,
      el("ul", { class: "plain small" }, ...said.map((words) => el("li", {}, words)))]),
    text.map && el("p", { class: "small soft" }, `${text.map}.`));
}

function details(analysis) {
  const { report, text } = analysis;
  const { format, width, height, bytes, sha256 } = report.input;
  const spent = report.elapsed ?? Object.values(report.timings).reduce((sum, seconds) => sum + seconds, 0);
  const lines = [
    ["file", say("file_words", { format, width, height, size: fileSize(bytes) }), ""],
    ...(analysis.video ? videoLines(report) : []),
    ["sha256", sha256, "hash"],
    ["model", say("model_words", report.model), ""],
    ["time", say("seconds", { s: spent.toFixed(2) }), ""],
  ];
  return el("details", {}, el("summary", {}, say("details")),
    text.threshold ? el("p", { class: "small soft" }, text.threshold) : null,
    el("dl", {}, ...lines.flatMap(([name, value, kind]) => [el("dt", {}, say(name)), el("dd", { class: kind }, value)])));
}

function videoLines(report) {
  const { duration, fps, codec, audio } = report.input;
  return [
    ["video", say("video_words", { codec, fps: fps === null ? "?" : fps.toFixed(2), duration: duration === null ? "?" : clockTime(duration), audio: say(audio ? "with_sound" : "without_sound") }), ""],
    ["looked_at", `${report.sampling.rule} (${report.sampling.analysed})`, ""],
  ];
}

function actions(analysis, onDelete) {
  const { links } = analysis;
  const { report } = links;
  const name = analysis.file.name;
  return el("p", { class: "row" },
    report && el("a", { class: "button", href: report, target: "_blank", rel: "noopener" }, say("open_report")),
    report && el("a", { href: `${report}?download=true`, download: "" }, say("download_report")),
    links.case && el("a", { href: links.case, download: "" }, say("download_case")),
    links.forensic && el("a", { href: links.forensic, target: "_blank", rel: "noopener" }, say("open_forensic")),
    el("button", { type: "button", class: "quiet", "aria-label": say("delete_one", { name }), onclick: () => onDelete(analysis) }, say("delete")));
}

function video(analysis) {
  if (!analysis.links.frames) return { frame: el("p", { class: "picture soft" }, say("video_gone")), timeline: null };
  return videoView(analysis, faceBoxes);
}

function picture(analysis) {
  const { report, links } = analysis;
  const name = analysis.file.name;
  if (!links.preview) return el("p", { class: "picture soft" }, say("preview_gone"));
  const alt = report.faces.length ? say("picture_alt", { name, n: report.faces.length }) : say("picture_alt_none", { name });
  const { width, height } = report.input;
  const stack = el("div", { class: "stack" });
  const image = el("img", { src: links.preview, alt, width, height, onerror: () => {
    stack.replaceChildren(el("p", { class: "soft" }, say("preview_failed")));
    announce(say("preview_failed"));
  } });
  const maps = links.heatmaps.filter(Boolean).slice(0, MOST_MAPS)
    .map((place) => el("img", { class: "map", src: place, alt: "", width, height }));
  const boxes = faceBoxes(width, height, report.faces.map((face, at) => ({ ...face, label: at + 1 })));
  stack.append(image, ...maps, boxes);
  return el("div", { class: "picture" }, stack, report.faces.length ? boxSwitch(analysis.id, boxes) : null,
    report.faces.length ? heatmapSlider(analysis.id, maps) : null);
}

// Boxes with number tags, in pixels of the picture; a face has a box, a label, a verdict, and whether it counts.
function faceBoxes(width, height, faces) {
  const unit = Math.max(width, height) / 36;
  const drawn = faces.flatMap((face) => {
    const [x, y, w, h] = face.box;
    const place = { x, y, width: Math.max(w, 0), height: Math.max(h, 0) };
    const label = String(face.label);
    const tag = { width: unit * (0.9 + 0.55 * label.length), height: unit * 1.5 };
    tag.x = Math.min(Math.max(x, 0), Math.max(width - tag.width, 0));
    tag.y = y - tag.height >= 0 ? y - tag.height : Math.min(Math.max(y, 0), Math.max(height - tag.height, 0));
    return [
      el("rect", { ...place, class: "box-edge" }),
      el("rect", { ...place, class: `box ${face.verdict}${face.considered ? "" : " aside"}` }),
      el("rect", { ...tag, class: "tag" }),
      el("text", { x: tag.x + tag.width / 2, y: tag.y + tag.height * 0.76, "font-size": unit * 1.15, class: "tag-text" }, label),
    ];
  });
  return el("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" }, ...drawn);
}

function boxSwitch(id, boxes) {
  const box = el("input", { type: "checkbox", id: `boxes-${id}`, checked: true, onchange: () => {
    boxes.style.visibility = box.checked ? "visible" : "hidden";
  } });
  return el("p", { class: "row small" }, box, el("label", { for: box.id }, say("boxes")));
}

function heatmapSlider(id, maps) {
  if (!maps.length) return el("p", { class: "small soft" }, say("heatmap_none"));
  const slide = el("input", { type: "range", id: `map-${id}`, min: 0, max: 100, value: 70, "aria-describedby": `scale-${id}`, oninput: () => show() });
  const show = () => maps.forEach((map) => { map.style.opacity = slide.value / 100; });
  show();
  return el("div", { class: "maps" },
    el("p", { class: "slider" }, el("label", { for: slide.id }, say("heatmap")), slide),
    el("div", { class: "map-scale", "aria-hidden": "true" }),
    el("p", { class: "ends", id: `scale-${id}` }, el("span", {}, say("heatmap_real")), el("span", {}, say("heatmap_fake"))));
}
