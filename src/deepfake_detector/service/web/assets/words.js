// The words of the page, all from strings.json, and small helpers to build elements with them.

const strings = JSON.parse(document.getElementById("strings").textContent);
export const limits = JSON.parse(document.getElementById("limits").textContent);

// say("too_many", {n: 70, most: 64}); a missing word is a fault that shows.
export function say(name, values = {}) {
  if (!(name in strings)) throw new Error(`no words for ${name}`);
  return strings[name].replace(/\{(\w+)\}/g, (_, key) => String(values[key]));
}

export function percent(share) {
  if (share > 0 && share < 0.01) return "<1 %";
  if (share > 0.99 && share < 1) return ">99 %";
  return `${Math.round(share * 100)} %`;
}

export function fileSize(bytes) {
  if (bytes < 1e6) return `${Math.max(Math.round(bytes / 1e3), 1)} kB`;
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}

// 83.5 → "1:23.5"
export function clockTime(seconds) {
  const tenths = Math.round(seconds * 10);
  return `${Math.floor(tenths / 600)}:${((tenths % 600) / 10).toFixed(1).padStart(4, "0")}`;
}

const SVG = "http://www.w3.org/2000/svg";
const SVG_TAGS = new Set(["svg", "path", "circle", "rect", "line", "polyline", "text"]);

// el("p", {class: "soft"}, "text", child): text is always text, never HTML.
export function el(tag, attributes = {}, ...children) {
  const made = SVG_TAGS.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

// For screen readers: what just happened, without moving the focus.
export function announce(text) {
  document.getElementById("status").textContent = text;
}

export function showProblem(text) {
  const place = document.getElementById("problem");
  place.textContent = text ?? "";
  place.hidden = !text;
}
