
"use strict";
const EVERY = 2000, SHOWN = 200, POINTS = 90;
const main = document.getElementById("main");
const history = [];
let last = null, heardAt = 0, failures = 0;

function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) if (value !== undefined) node.setAttribute(name, value);
  node.append(...children.flat().filter(child => child !== null && child !== undefined && child !== false));
  return node;
}
const text = (id, words) => { const node = document.getElementById(id); if (node.textContent !== words) node.textContent = words; };
const sum = (list, of) => list.reduce((total, one) => total + of(one), 0);

function count(n) {
  if (n < 100000) return Math.round(n).toLocaleString("en-US");
  const units = ["k", "M", "G", "T"]; let unit = -1;
  while (n >= 1000 && unit < 3) { n /= 1000; unit++; }
  return n.toFixed(n < 10 ? 2 : n < 100 ? 1 : 0) + " " + units[unit];
}
function bytes(n) {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"]; let unit = 0;
  while (n >= 1000 && unit < 5) { n /= 1000; unit++; }
  return (unit === 0 || n >= 100 ? n.toFixed(0) : n < 10 ? n.toFixed(2) : n.toFixed(1)) + " " + units[unit];
}
function span(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 10) return seconds.toFixed(1) + " s";
  seconds = Math.round(seconds);
  if (seconds < 60) return seconds + " s";
  if (seconds < 3600) return Math.floor(seconds / 60) + " min " + String(seconds % 60).padStart(2, "0") + " s";
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1440) return Math.floor(minutes / 60) + " h " + String(minutes % 60).padStart(2, "0") + " min";
  return Math.floor(minutes / 1440) + " d " + Math.floor(minutes % 1440 / 60) + " h";
}
function bar(percent, tone, big) {
  const width = Math.max(0, Math.min(100, percent));
  const inner = el("i"); inner.style.width = width + "%";
  return el("div", { class: ["bar", tone, big && "big"].filter(Boolean).join(" "), role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": width.toFixed(1) }, inner);
}
function tile(name, value, more, options) {
  const { tone, graph } = options || {};
  return el("div", { class: "tile" + (tone ? " " + tone : "") }, el("div", { class: "name" }, name), el("div", { class: "value" }, value), graph || null, el("div", { class: "more" }, more || ""));
}
function spark(of) {
  const points = history.map(of).filter(value => value !== null);
  if (points.length < 3) return null;
  const most = Math.max(...points, 1e-9), step = 100 / (points.length - 1);
  const line = points.map((value, i) => (i ? "L" : "M") + (i * step).toFixed(2) + " " + (24 - value / most * 22).toFixed(2)).join("");
  const draw = (d, kind) => { const path = document.createElementNS("http:" + "//www.w3.org/2000/svg", "path"); path.setAttribute("d", d); if (kind) path.setAttribute("class", kind); return path; };
  const svg = document.createElementNS("http:" + "//www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 100 26"); svg.setAttribute("preserveAspectRatio", "none"); svg.setAttribute("class", "spark"); svg.setAttribute("aria-hidden", "true");
  svg.append(draw(line + "L100 26L0 26Z", "under"), draw(line));
  return svg;
}

/* What grows, and how fast it grew between the last looks: by the clock of the process, however late an answer came. */
function remember(now) {
  const at = now.elapsedSeconds;
  const read = sum(now.tables, t => t.bytesRead) + sum(now.streams, s => s.bytesRead);
  const rows = sum(now.tables, t => t.rows) + sum(now.streams, s => s.records) + (now.sequencer ? now.sequencer.rows : 0) + sum(now.agents, a => a.rows);
  const before = history[history.length - 1];
  const seconds = before ? at - before.at : 0;
  const rate = (value, former) => before && seconds > 0 && value >= former ? (value - former) / seconds : null;
  const lags = now.streams.map(s => s.lagSeconds).filter(lag => lag !== null);
  history.push({ at, read, rows, readRate: rate(read, before && before.read), rowRate: rate(rows, before && before.rows), lag: lags.length ? Math.max(...lags) : null });
  if (history.length > POINTS) history.shift();
}
/* Over the last looks together: single ones may lie close to each other. */
function lately(what) {
  const points = history.slice(-5), first = points[0], last = points[points.length - 1];
  const seconds = last ? last.at - first.at : 0;
  return seconds > 0 && last[what] >= first[what] ? (last[what] - first[what]) / seconds : null;
}
const perSecond = (value, unit) => value === null ? "–" : unit(value) + "/s";

function extractPart(now) {
  const tables = now.tables;
  if (!tables.length || now.agents.length) return [];
  const planned = sum(tables, t => t.bytesPlanned);
  const percent = planned ? sum(tables, t => t.percent / 100 * t.bytesPlanned) / planned * 100 : 100;
  const done = tables.filter(t => t.state === "Table completed").length;
  const rows = sum(tables, t => t.rows), refused = sum(tables, t => t.rowsRefused), damages = sum(tables, t => t.damages + t.errors);
  const left = now.secondsLeft !== null ? span(now.secondsLeft) + " left" : percent >= 100 ? "writing what loaders need" : "time left not known yet";
  return [
    el("section", { class: "card" }, el("div", { class: "whole" }, el("strong", {}, percent.toFixed(percent < 99.95 ? 1 : 0) + " %"), el("span", {}, left)), bar(percent, percent >= 100 ? "good" : "", true)),
    el("section", { class: "tiles" },
      tile("Rows written", count(rows), perSecond(lately("rows"), count), { graph: spark(p => p.rowRate) }),
      tile("Read", perSecond(lately("read"), bytes), bytes(sum(tables, t => t.bytesRead)) + " of " + bytes(planned), { graph: spark(p => p.readRate) }),
      tile("Tables done", done + " of " + tables.length, bytes(sum(tables, t => t.bytesWritten)) + " of records"),
      tile("Not written", count(refused), damages ? damages + (damages === 1 ? " damage or error" : " damages or errors") : refused ? "rows refused; no damage" : "nothing refused or damaged", { tone: refused || damages ? "bad" : "" })),
  ];
}
function tableRows(tables) {
  const rank = { "Table error": 0, "Full load": 1, "Before load": 2, "Table completed": 3 };
  const sorted = [...tables].sort((a, b) => (rank[a.state] ?? 1) - (rank[b.state] ?? 1) || b.bytesPlanned - a.bytesPlanned);
  const rows = sorted.slice(0, SHOWN).map(t => {
    const wrong = t.errors + (t.damages || 0) + (t.rowsRefused || 0);
    const done = t.state === "Table completed";
    const tone = t.state === "Table error" ? "bad" : done ? "good" : "";
    const tag = { "Table error": "error", "Full load": "loading", "Before load": "queued", "Table completed": wrong ? "with gaps" : "done" }[t.state] || t.state;
    const under = [count(t.rows) + (t.rows === 1 ? " row" : " rows")];
    if (t.bytesPlanned) under.push((done || !t.bytesRead ? "" : bytes(t.bytesRead) + " of ") + bytes(t.bytesPlanned));
    if (t.elapsedSeconds >= 1 || done) under.push(span(t.elapsedSeconds));
    if (wrong) under.push(wrong + " not written");
    return el("div", { class: "row wide" }, el("div", { class: "name" }, el("small", {}, t.keyspace + "."), t.table), bar(t.percent, tone), el("div", { class: "right" }, t.percent.toFixed(done ? 0 : 1) + " %"), el("div", { class: "under" }, under.join(" · ")), el("span", { class: "tag " + (wrong ? "bad" : tone) }, tag));
  });
  if (sorted.length > SHOWN) rows.push(el("p", { class: "note" }, "and " + (sorted.length - SHOWN) + " more"));
  return rows;
}
function tailPart(now) {
  if (!now.streams.length) return [];
  const parts = [], one = now.streams.length === 1;
  const lags = now.streams.map(s => s.lagSeconds).filter(lag => lag !== null);
  const lag = lags.length ? Math.max(...lags) : null, lost = sum(now.streams, s => s.lost);
  const tiles = [
    tile(one ? "Behind" : "Farthest behind", lag === null ? "unknown" : span(lag), lag === null ? "nothing to judge it by yet" : "everything older is shipped", { tone: lag > 300 ? "bad" : lag > 60 ? "warn" : "", graph: spark(p => p.lag) }),
    tile("Records shipped", count(sum(now.streams, s => s.records)), perSecond(lately("rows"), count), { graph: spark(p => p.rowRate) }),
  ];
  if (now.cdcSpace) {
    const { bytesUsed, bytesLimit } = now.cdcSpace, part = bytesLimit ? bytesUsed / bytesLimit * 100 : 100;
    const tone = part >= 80 ? "bad" : part >= 50 ? "warn" : "";
    tiles.push(tile("Left in cdc_raw", bytes(Math.max(0, bytesLimit - bytesUsed)), bytes(bytesUsed) + " of " + bytes(bytesLimit) + " used", { tone, graph: bar(part, tone) }));
  }
  tiles.push(tile("Lost ranges", count(lost), lost ? "extract these tables anew" : "nothing vanished unread", { tone: lost ? "bad" : "" }));
  parts.push(el("section", { class: "tiles" }, tiles));
  parts.push(el("section", { class: "card" }, el("div", { class: "head" }, el("h2", {}, one ? "Stream" : "Streams"), el("span", { class: "aside" }, one ? "" : now.streams.length + " hosts")),
    now.streams.map(s => {
      const tone = s.lost || s.damages ? "bad" : s.held ? "warn" : s.lagSeconds === null ? "" : s.lagSeconds > 300 ? "bad" : s.lagSeconds > 60 ? "warn" : "good";
      const under = ["segment " + s.segment + " at " + s.offset.toLocaleString("en-US"), count(s.mutations) + " mutations", count(s.objects) + " objects, " + bytes(s.bytesWritten), s.segmentsFollowed + " segments followed, " + s.segmentsShipped + " done"];
      if (s.held) under.push(s.held + " held until their table is known");
      if (s.damages) under.push(s.damages + " parts not readable");
      if (s.lost) under.push(s.lost + " ranges lost");
      return el("div", { class: "row" }, el("div", { class: "name" }, s.hostId), el("span", { class: "tag " + tone }, s.lagSeconds === null ? "lag unknown" : span(s.lagSeconds) + " behind"), el("div", { class: "under" }, under.join(" · ")));
    })));
  return parts;
}
function sequencePart(now) {
  const s = now.sequencer;
  if (!s) return [];
  const stopped = s.tables.filter(t => t.stopped).length, held = sum(s.tables, t => t.held), refused = sum(s.tables, t => t.refused);
  const parts = [el("section", { class: "tiles" },
    tile("Rows sequenced", count(s.rows), s.heldBack ? "held back" : perSecond(lately("rows"), count), { graph: spark(p => p.rowRate) }),
    tile("Change files", count(s.files), bytes(s.bytesWritten) + " by this process"),
    tile("Behind", s.lagSeconds === null ? "unknown" : span(s.lagSeconds), s.objectsPending + " objects to read", { tone: s.lagSeconds > 300 ? "warn" : "" }),
    tile("Not written", count(held + refused), stopped ? stopped + (stopped === 1 ? " table stopped" : " tables stopped") : "records held or refused", { tone: stopped || refused || held ? "bad" : "" }))];
  if (s.tables.length) parts.push(el("section", { class: "card" }, el("div", { class: "head" }, el("h2", {}, "Sequenced tables"), el("span", { class: "aside" }, s.tables.length + " tables")),
    s.tables.slice(0, SHOWN).map(t => el("div", { class: "row" }, el("div", { class: "name" }, el("small", {}, t.keyspace + "."), t.table), el("span", { class: "tag " + (t.stopped ? "bad" : t.held || t.refused ? "warn" : "good") }, t.stopped ? "stopped" : t.held ? "held" : t.refused ? "with gaps" : "followed"),
      el("div", { class: "under" }, [count(t.rows) + " rows", t.held && t.held + " records not used", t.refused && t.refused + " rows refused", t.stopped].filter(Boolean).join(" · "))))));
  return parts;
}
function agentPart(now) {
  if (!now.agents.length) return [];
  const done = now.agents.filter(a => a.phase === "complete").length, failed = now.agents.filter(a => a.phase === "failed").length;
  const percent = sum(now.agents, a => a.percent) / Math.max(now.agents.length, 1);
  return [
    el("section", { class: "card" }, el("div", { class: "whole" }, el("strong", {}, percent.toFixed(1) + " %"), el("span", {}, done + " of " + now.agents.length + " agents complete" + (failed ? ", " + failed + " failed" : ""))), bar(percent, failed ? "bad" : percent >= 100 ? "good" : "", true)),
    el("section", { class: "card" }, el("div", { class: "head" }, el("h2", {}, "Agents"), el("span", { class: "aside" }, count(sum(now.agents, a => a.rows)) + " rows")),
      now.agents.slice(0, SHOWN).map(a => {
        const tone = a.phase === "failed" ? "bad" : a.phase === "complete" ? "good" : a.silentSeconds > 60 ? "warn" : "";
        const under = [count(a.rows) + " rows", bytes(a.bytesWritten) + " written"];
        if (a.silentSeconds !== null) under.push("heard " + span(a.silentSeconds) + " ago");
        if (a.lastError) under.push(a.lastError);
        return el("div", { class: "row wide" }, el("div", { class: "name" }, el("small", {}, a.agent + " "), a.host || "–"), bar(a.percent, tone), el("div", { class: "right" }, a.percent.toFixed(1) + " %"), el("div", { class: "under" }, under.join(" · ")), el("span", { class: "tag " + tone }, a.phase));
      })),
  ];
}
function messagePart(now) {
  const total = now.warnings + now.errors;
  if (!now.messages.length) return [];
  return [el("section", { class: "card" }, el("div", { class: "head" }, el("h2", {}, "Messages"), el("span", { class: "aside" }, total > now.messages.length ? "the last " + now.messages.length + " of " + total : "newest first")),
    now.messages.map(m => el("div", { class: "message" }, el("time", { datetime: m.time }, m.time.slice(11, 19) + " UTC"), m.error ? el("span", { class: "tag bad" }, "error") : null, m.error ? " " : null, m.words)))];
}
function draw(now) {
  const working = now.tables.some(t => t.state === "Full load");
  let state = ["working", "good"];
  if (now.unhealthy) state = ["stalled", "bad"];
  else if (now.notReady) state = ["not ready", "warn"];
  else if (now.sequencer && now.sequencer.heldBack) state = ["held back", "warn"];
  else if (now.command === "tail") state = ["following", "good"];
  else if (now.command === "extract" && now.tables.length && !working) state = [now.tables.every(t => t.percent >= 100) ? "finishing" : "planned", "good"];
  else if (now.command === "status") state = ["watching", "good"];
  const pill = document.getElementById("state");
  pill.textContent = state[0]; pill.className = "pill " + state[1];
  document.title = "cassport " + now.command + (now.host ? " · " + now.host : "");
  text("title", "cassport " + now.command);
  const place = [now.host, now.output && "→ " + now.output, "running " + span(now.elapsedSeconds), now.memory && bytes(now.memory.bytesUsed) + " of " + bytes(now.memory.bytesBudget) + " memory"];
  document.getElementById("place").replaceChildren(...place.filter(Boolean).map(words => el("span", {}, words)));
  const parts = [];
  for (const [words, tone] of [[now.unhealthy, "bad"], [now.notReady, "warn"]]) if (words) parts.push(el("p", { class: "banner " + tone }, words));
  if (now.sequencer && now.sequencer.heldBack) parts.push(el("p", { class: "banner warn" }, "Change files are held back until the extract is sealed."));
  parts.push(...extractPart(now), ...agentPart(now), ...tailPart(now), ...sequencePart(now));
  if (now.tables.length) parts.push(el("section", { class: "card" }, el("div", { class: "head" }, el("h2", {}, "Tables"), el("span", { class: "aside" }, count(sum(now.tables, t => t.rows)) + " rows")), tableRows(now.tables)));
  parts.push(...messagePart(now));
  main.replaceChildren(...parts);
}
async function look() {
  try {
    const answer = await fetch("status.json", { cache: "no-store", signal: AbortSignal.timeout(8000) });
    if (!answer.ok) throw new Error(answer.status);
    last = await answer.json(); heardAt = performance.now(); failures = 0;
    remember(last); draw(last);
  } catch { failures++; }
  age();
}
function age() {
  const seconds = (performance.now() - heardAt) / 1000, gone = failures > 1;
  document.body.classList.toggle("stale", gone);
  if (gone) {
    const pill = document.getElementById("state");
    const over = last && last.command === "extract" && last.tables.length && last.tables.every(t => t.state === "Table completed");
    pill.textContent = over ? "ended" : last ? "no answer" : "not reached"; pill.className = over ? "pill" : "pill bad";
  }
  text("age", last ? "as of " + last.updated.slice(0, 19).replace("T", " ") + " UTC" + (gone ? ", " + span(seconds) + " ago; the process has ended or is out of reach" : "") + " · version " + last.version : "");
}
look();
setInterval(() => { if (!document.hidden || failures) look(); }, EVERY);
document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
