// Talks to the service: JSON in and out, problems as errors, the CSRF token with whatever changes something.

import { say } from "./words.js";

let csrf = null;

export class Problem extends Error {
  constructor(document) {
    super(document.detail);
    this.code = document.code;
    this.analysis = document.analysis ?? null;
  }
}

export function useToken(token) {
  csrf = token;
}

function headers(method) {
  return method === "GET" || csrf === null ? {} : { "X-CSRF-Token": csrf };
}

export async function call(method, place, body = null) {
  const options = { method, headers: headers(method) };
  if (body !== null) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(place, options);
  } catch {
    throw new Problem({ code: "network", detail: say("network") });
  }
  if (!response.ok) throw new Problem(await response.json());
  return response.status === 204 ? null : response.json();
}

// Sends a form and tells how much of it is out (0–1); fetch cannot tell. Returns {promise, abort}.
export function send(place, form, extraHeaders, onProgress) {
  const request = new XMLHttpRequest();
  const promise = new Promise((resolve, reject) => {
    const fail = () => reject(new Problem({ code: "network", detail: say("network") }));
    request.upload.addEventListener("progress", (event) => event.lengthComputable && onProgress(event.loaded / event.total));
    request.addEventListener("error", fail);
    request.addEventListener("abort", () => reject(new Problem({ code: "aborted", detail: "" })));
    request.addEventListener("load", () => {
      let answer;
      try {
        answer = JSON.parse(request.responseText);
      } catch {
        return fail();
      }
      return request.status < 300 ? resolve({ status: request.status, answer }) : reject(new Problem(answer));
    });
  });
  request.open("POST", place);
  for (const [name, value] of Object.entries({ ...headers("POST"), ...extraHeaders })) request.setRequestHeader(name, value);
  request.send(form);
  return { promise, abort: () => request.abort() };
}

// Calls onChange with the analysis whenever it changes; resolves with the last one.
export function follow(analysis, onChange) {
  return new Promise((resolve) => {
    const events = new EventSource(analysis.links.events);
    events.addEventListener("progress", (event) => onChange(JSON.parse(event.data)));
    events.addEventListener("end", (event) => {
      events.close();
      resolve(JSON.parse(event.data));
    });
    events.addEventListener("error", async () => {
      if (events.readyState !== EventSource.CLOSED) return; // it opens again by itself
      resolve(await call("GET", analysis.links.self).catch(() => null));
    });
  });
}
