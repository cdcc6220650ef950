"use strict";
// Everything shown comes from the JSON that the commands print. Text of others goes into text nodes only.
const $ = (id) => document.getElementById(id);
const el = (tag, attributes, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) if (value !== undefined && value !== null) node.setAttribute(name, value);
  for (const child of children.flat()) if (child !== null && child !== undefined) node.append(child);
  return node;
};
const fill = (node, ...children) => node.replaceChildren(...children.flat().filter((child) => child !== null));
const table = (heads, rows) => el("table", {},
  el("thead", {}, el("tr", {}, heads.map((head) => el("th", { scope: "col" }, head)))),
  el("tbody", {}, rows.map(({ cells, ...attributes }) => el("tr", attributes, cells.map((cell, index) =>
    el("td", { "data-head": heads[index], class: typeof cell === "number" ? "number" : null }, typeof cell === "number" ? String(cell) : cell))))));
const tags = (words) => words.map((word) => el("span", { class: "tag" }, word));

// === asking ===

let token = sessionStorage.getItem("token");
const headers = (more) => ({ ...(token ? { authorization: "Bearer " + token } : {}), ...more });
async function ask(path, body) {
  const answer = await fetch("/admin/v1/" + path, body === undefined ? { headers: headers() }
    : { method: "POST", headers: headers({ "content-type": "application/json" }), body: JSON.stringify(body) });
  if (answer.status === 401) { $("door").hidden = false; $("main").hidden = true; throw new Error("the token is needed"); }
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.error || "status " + answer.status);
  return told;
}
$("door").addEventListener("submit", (event) => {
  event.preventDefault();
  token = $("token").value.trim();
  sessionStorage.setItem("token", token);
  $("door").hidden = true; $("main").hidden = false;
  start();
});

// === state and reloads ===

const age = (seconds) => seconds < 60 ? seconds + " s" : seconds < 3600 ? Math.floor(seconds / 60) + " min" : Math.floor(seconds / 3600) + " h";
async function status() {
  const told = await ask("status");
  const words = { running: "what the files say is running", refused: "the files are refused; older definitions serve", rolled_back: "rolled back" };
  fill($("state"), "revision ", el("code", {}, told.revision), " for " + age(told.age_s) + " · ",
    el("span", { class: told.files === "running" ? "caller" : "bad" }, words[told.files] || told.files));
  const alerts = [];
  if (told.files === "refused") alerts.push("The last change of the files was refused. The definitions before it keep serving.", el("pre", {}, told.last_reload.diagnostics || ""));
  if (told.restart_for.length) alerts.push("The server file has changed; a restart is needed for " + told.restart_for.join(", ") + ".");
  if (told.stopping) alerts.push("The server is stopping.");
  $("alert").hidden = alerts.length === 0;
  fill($("alert"), ...alerts);
}
async function reloads() {
  const events = await ask("reloads");
  fill($("events"), events.map((event) => el("li", { class: event.outcome },
    el("strong", {}, event.outcome.replace("_", " ")), " ", el("time", { datetime: event.at }, new Date(event.at).toLocaleString()), " ",
    el("code", {}, event.revision),
    event.summary || event.diagnostics ? el("pre", { tabindex: "0" }, event.summary || event.diagnostics) : null)));
}

// === catalogue ===

let catalogue = { tools: [], resources: [], resource_templates: [], prompts: [] };
let known = new Map();
async function load() {
  catalogue = await ask("catalogue");
  showTools();
  const others = [...catalogue.resources, ...catalogue.resource_templates].map((it) => ["resource", it.uri, it.description || ""])
    .concat(catalogue.prompts.map((it) => ["prompt", it.name, it.description || ""]));
  fill($("others"), others.length ? table(["Kind", "Name", "About"], others.map((cells) => ({ cells }))) : el("p", { class: "soft" }, "none"));
  const chosen = $("tool").value;
  fill($("tool"), catalogue.tools.map((tool) => el("option", { value: tool.name }, tool.name)));
  if (catalogue.tools.some((tool) => tool.name === chosen)) $("tool").value = chosen;
  showArguments();
}
function showTools() {
  const wanted = $("filter").value.toLowerCase();
  const now = new Map(catalogue.tools.map((tool) => [tool.name, JSON.stringify(tool)]));
  const rows = catalogue.tools.filter((tool) => now.get(tool.name).toLowerCase().includes(wanted)).map((tool) => {
    const fresh = known.size > 0 && known.get(tool.name) !== now.get(tool.name);
    const properties = Object.keys(tool.definition.inputSchema.properties || {});
    const needs = [...tool.access.scopes.map((it) => "scope " + it), ...tool.access.groups.map((it) => "group " + [].concat(it).join(" or ")), ...tool.access.when.map((it) => "when " + it)];
    return { "data-tool": tool.name, class: fresh ? "fresh" : null, cells: [
      el("span", {}, el("strong", {}, tool.name), el("br"), el("span", { class: "soft" }, tool.bridge)),
      el("span", {}, tool.method ? el("span", { class: "tag" }, tool.method) : el("span", { class: "soft" }, "answers from the file"), el("code", {}, tool.path || "")),
      (tool.definition.description || "").split("\n")[0],
      el("span", {}, properties.map((name) => [el("span", { class: "model" }, name), " "]).flat(),
        tool.identity.map((it) => [el("span", { class: "caller" }, it.part + " ← " + it.claim), " "]).flat()),
      el("span", {}, needs.length ? tags(needs) : el("span", { class: "soft" }, "a valid token")),
      el("code", {}, tool.place),
    ] };
  });
  known = now;
  fill($("tools"), rows.length ? table(["Tool", "Request", "What the model reads", "Parameters", "Needs", "Place"], rows) : el("p", {}, "No tool fits."));
}
$("filter").addEventListener("input", showTools);

// === explain ===

function showArguments() {
  const tool = catalogue.tools.find((it) => it.name === $("tool").value);
  const given = Object.fromEntries([...$("arguments").querySelectorAll("input")].map((input) => [input.name, input.value]));
  const schema = tool ? tool.definition.inputSchema : {};
  fill($("arguments"), Object.entries(schema.properties || {}).map(([name, property]) => {
    const id = "argument-" + name;
    const input = el("input", { id, name, autocomplete: "off", placeholder: [property.type, property.format].flat().filter(Boolean).join(", ") });
    input.value = given[name] || "";
    const required = (schema.required || []).includes(name) ? " (required)" : "";
    return el("div", {}, el("label", { for: id }, name + required), input, property.description ? el("div", { class: "soft" }, property.description) : null);
  }));
}
$("tool").addEventListener("change", showArguments);
$("question").addEventListener("submit", async (event) => {
  event.preventDefault();
  const tool = catalogue.tools.find((it) => it.name === $("tool").value);
  try {
    const given = {};
    for (const input of $("arguments").querySelectorAll("input")) {
      if (input.value === "") continue;
      const type = tool.definition.inputSchema.properties[input.name].type;
      const isText = [].concat(type).includes("string");
      try { given[input.name] = isText ? input.value : JSON.parse(input.value); } catch { throw new Error(input.name + " is no JSON"); }
    }
    let claims;
    try { claims = JSON.parse($("claims").value || "{}"); } catch { throw new Error("the claims are no JSON"); }
    showAnswer(await ask("explain", { tool: tool.name, arguments: given, claims }));
  } catch (error) { fill($("answer"), el("p", { class: "bad" }, error.message)); }
});
function showAnswer(told) {
  if (told.refused) { fill($("answer"), el("p", {}, el("span", { class: "bad" }, "Refused"), " and nothing would be sent:"), el("pre", {}, told.refused)); return; }
  if (!told.request) { fill($("answer"), el("p", {}, "The tool answers from its file; there is no request."), el("pre", { tabindex: "0" }, JSON.stringify(told.answer, null, 2))); return; }
  const { request } = told;
  const lines = [request.method + " " + request.url, ...Object.entries(request.headers).map(([name, value]) => name + ": " + value)];
  const body = request.body === null ? "" : "\n\n" + (typeof request.body === "string" ? request.body : JSON.stringify(request.body, null, 2));
  const source = (it) => el("span", { class: it.source.includes("claim") || it.source.includes("caller") ? "caller" : it.source.includes("argument") ? "model" : "soft" }, it.source);
  fill($("answer"), el("h3", {}, "The request"), el("pre", { tabindex: "0" }, lines.join("\n") + body),
    request.sources.length ? table(["Place", "Value", "Where it comes from"], request.sources.map((it) => ({ cells: [it.place, el("code", {}, String(it.value)), source(it)] }))) : null);
}

// === calls, identity, metrics ===

async function calls() {
  const list = await ask("calls");
  fill($("latest"), list.length === 0 ? el("p", { class: "soft" }, "none yet") : table(["Time", "Tool", "Caller", "Outcome", "API", "ms", "Request id"], list.reverse().map((call) => ({ cells: [
    new Date(call.at_ms).toLocaleTimeString(), call.tool, el("code", {}, call.caller),
    el("span", { class: call.outcome === "ok" ? "caller" : "bad" }, call.outcome.replace("_", " ")),
    call.upstream_status === null ? "–" : String(call.upstream_status), Math.round(call.elapsed_ms * 10) / 10, el("code", {}, call.request_id)] }))));
}
async function identity() {
  const told = await ask("auth");
  const counts = samples.length ? samples[samples.length - 1].tokens : {};
  fill($("issuers"), told.checks_tokens ? [
    table(["Issuer", "Tokens are checked by", "Verdicts kept"], told.issuers.map((it) => ({ cells: [it.issuer || "any", it.method, it.verdicts_kept_for || "no"] }))),
    told.keys.length ? table(["Issuer", "Keys", "Fetched"], told.keys.map((it) => ({ cells: [it.issuer, el("span", {}, tags(it.ids)), it.age_s === null ? "not yet" : age(it.age_s) + " ago"] }))) : null,
  ] : el("p", { class: "warn" }, "Tokens are not checked: everybody may call."),
  el("h3", {}, "Requests by what came of their tokens"),
  Object.keys(counts).length ? table(["Outcome", "Requests"], Object.entries(counts).map(([name, count]) => ({ cells: [name, count] }))) : el("p", { class: "soft" }, "none yet"));
}
const samples = [];
async function sample() {
  const text = await (await fetch("/metrics")).text();
  const now = { at: performance.now(), calls: 0, bad: 0, inFlight: 0, buckets: new Map(), tokens: {} };
  for (const line of text.split("\n")) {
    const found = /^(\w+?)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (!found) continue;
    const [, name, labels = "", value] = found;
    const label = (key) => (new RegExp(key + '="([^"]*)"').exec(labels) || [])[1];
    if (name === "tollbridge_calls_total") { now.calls += Number(value); if (label("outcome") !== "ok") now.bad += Number(value); }
    if (name === "tollbridge_calls_in_flight") now.inFlight = Number(value);
    if (name === "tollbridge_authentications_total") now.tokens[label("outcome")] = Number(value);
    if (name === "tollbridge_call_duration_seconds_bucket") now.buckets.set(label("le"), (now.buckets.get(label("le")) || 0) + Number(value));
  }
  samples.push(now);
  if (samples.length > 120) samples.shift();
  const rate = (key) => samples.slice(1).map((it, index) => Math.max(0, (it[key] - samples[index][key]) / (it.at - samples[index].at) * 1000));
  const p95 = samples.slice(1).map((it, index) => {
    const grown = [...it.buckets].map(([le, count]) => [le === "+Inf" ? Infinity : Number(le), count - (samples[index].buckets.get(le) || 0)]);
    const all = Math.max(0, ...grown.map(([, count]) => count));
    const found = grown.sort((a, b) => a[0] - b[0]).find(([, count]) => count >= all * 0.95);
    return all === 0 ? 0 : Math.min(found[0], 60) * 1000;
  });
  const show = (number, unit) => (number >= 10 ? Math.round(number) : Math.round(number * 10) / 10) + " " + unit;
  fill($("charts"), chart("Calls", rate("calls"), (it) => show(it, "/s")), chart("Not ok", rate("bad"), (it) => show(it, "/s")),
    chart("95 % are faster than", p95, (it) => show(it, "ms")), chart("In flight", samples.map((it) => it.inFlight), (it) => show(it, "")));
}
function chart(name, values, words) {
  const most = Math.max(1e-9, ...values), last = values.length ? values[values.length - 1] : 0;
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg"), line = document.createElementNS(space, "polyline");
  svg.setAttribute("viewBox", "0 0 120 40"); svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img"); svg.setAttribute("aria-label", name + ": now " + words(last) + ", at most " + words(most < 1e-6 ? 0 : most));
  line.setAttribute("points", values.map((value, index) => (120 - values.length + index) + "," + (38 - value / most * 36)).join(" "));
  svg.append(line);
  return el("figure", {}, el("figcaption", {}, el("span", {}, name), el("strong", {}, words(last))), svg);
}

// === going round ===

const views = ["catalogue", "explain", "reloads", "calls", "identity", "metrics"];
const view = () => views.includes(location.hash.slice(1)) ? location.hash.slice(1) : "catalogue";
function turn() {
  for (const name of views) $("view-" + name).hidden = name !== view();
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === "#" + view()) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
  }
  tick();
}
addEventListener("hashchange", turn);
const quietly = (work) => work.catch((error) => { $("state").textContent = error instanceof TypeError ? "the server does not answer" : error.message; });
async function tick() {
  await quietly(Promise.all([status(), sample(), view() === "calls" ? calls() : null, view() === "identity" ? identity() : null]));
}
// A stream, read with fetch so that it can carry the token.
async function follow() {
  for (;;) {
    try {
      const answer = await fetch("/admin/v1/events", { headers: headers() });
      if (!answer.ok) return;
      const reader = answer.body.getReader();
      const decoder = new TextDecoder();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        if (decoder.decode(value, { stream: true }).includes("event:")) await quietly(Promise.all([load(), status(), reloads()]));
      }
    } catch { /* It is asked again. */ }
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}
function start() { quietly(load()); quietly(reloads()); turn(); follow(); }
start();
setInterval(tick, 2000);
