"use strict";

// Behind a stage, a base path, with a trailing slash or without: every address starts where this page's own ends.
const base = location.pathname.replace(/\/+$/, "");
const api = `${base}/api/v1/admin`;
const keyName = `opdex-key${base}`;
const POLL_MS = 1000;
const POLL_AFTER_ERROR_MS = 5000;
const SCHEDULES = { 0: "never by itself", 1: "every hour", 6: "every 6 hours", 24: "every day", 168: "every week" };
const LARGEST_BODY = 4_400_000; // a function takes 6 MB, and base64 makes three bytes four

const $ = (id) => document.getElementById(id);

let catalogs = [];
let openCatalog = null;
let specs = new Map(); // name → {spec, status, row}
let timer = 0;
let round = 0; // answers that belong to an earlier one are dropped
let disconnected = false;


// ---- What a spec's badge says: a pure function of its embedding status ----

function badge(status) {
  const { operation_count: total, embedding_count: indexed, job_status: job, job_attempts: attempts = 0 } = status;
  const error = status.job_last_error || "";
  if (job === "running") {
    const done = status.embedded_so_far ?? 0;
    return { tone: "busy", text: `indexing ${done}/${total}`, reason: pace(status), done, total };
  }
  if (job === "pending") {
    return attempts >= 2
      ? { tone: "wait", text: `retrying (${attempts} tries)`, reason: error }
      : { tone: "wait", text: "queued", reason: error };
  }
  if (job === "failed") {
    const next = status.next_try_at ? ` Next try ${at(status.next_try_at)}.` : "";
    return { tone: "bad", text: "failed", reason: `${error}${next}`.trim() };
  }
  if (total === 0) return { tone: "none", text: "empty", reason: "" };
  if (indexed >= total) return { tone: "good", text: `${indexed}/${total} indexed`, reason: "" };
  return { tone: "none", text: "not indexed", reason: job === "cancelled" ? "The last job was cancelled." : "" };
}

function pace(status) {
  const parts = [];
  if (status.rate_per_second) parts.push(`${status.rate_per_second.toPrecision(2)} operations/s`);
  if (status.eta_seconds !== undefined) parts.push(`about ${duration(status.eta_seconds)} to go`);
  return parts.join(", ");
}

function duration(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

const at = (time) => new Date(time).toLocaleString(undefined, { dateStyle: "short", timeStyle: "medium" });
const isOpen = (status) => status.job_status === "pending" || status.job_status === "running";
const count = (n, noun) => `${n} ${noun}${n === 1 ? "" : "s"}`;


// ---- The API ----

class ApiError extends Error {
  constructor(status, error) {
    super(error.message);
    this.status = status;
    this.code = error.code;
  }
}

async function call(method, path, body, type) {
  // As a bearer token, which is also how a gateway in front of the API is given one of its own.
  const headers = { Authorization: `Bearer ${sessionStorage.getItem(keyName) ?? ""}` };
  if (type) headers["Content-Type"] = type;
  const answer = await fetch(api + path, { method, headers, body, cache: "no-store" });
  const text = await answer.text();
  if (answer.ok) return text ? JSON.parse(text) : null;
  let error = { code: "unexpected", message: `The service answered ${answer.status}.` };
  try { error = { ...error, ...JSON.parse(text).error }; } catch { /* not one of ours: keep the status */ }
  throw new ApiError(answer.status, error);
}

async function everyPage(path, field) {
  const found = [];
  for (let cursor = ""; ;) {
    const page = await call("GET", `${path}?limit=500${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
    found.push(...page[field]);
    if (!page.next) return found;
    cursor = page.next;
  }
}

const sendJson = (path, body) => call("POST", path, JSON.stringify(body), "application/json");
const catalogPath = (id) => `/api-catalogs/${encodeURIComponent(id)}`;
const specPath = (name) => `${catalogPath(openCatalog)}/specs/${encodeURIComponent(name)}`;


// ---- The page ----

// All text gets in as text, never as markup: specs come from strangers.
function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function say(text, bad = false) {
  $("message").firstElementChild.textContent = text;
  $("message").classList.toggle("bad", bad);
  $("message").hidden = !text;
}

function fail(error) {
  if (error instanceof ApiError && error.status === 401) signOut("This key is not accepted.");
  else say(error instanceof ApiError ? error.message : `The service cannot be reached: ${error.message}`, true);
}

// Runs what a button or form starts: one at a time, and every error is shown.
async function run(control, work) {
  if (control.disabled) return;
  control.disabled = true;
  say("");
  try { await work(); } catch (error) { fail(error); } finally { control.disabled = false; }
}

function onSubmit(id, work) {
  $(id).addEventListener("submit", (event) => {
    event.preventDefault();
    run($(id).querySelector("button.primary"), work);
  });
}

const onClick = (button, work) => button.addEventListener("click", () => run(button, work));

function confirmed(question, action) {
  $("confirmation-text").textContent = question;
  $("confirmation").querySelector("[value=yes]").textContent = action;
  $("confirmation").returnValue = "no";
  $("confirmation").showModal();
  return new Promise((resolve) => {
    $("confirmation").addEventListener("close", () => resolve($("confirmation").returnValue === "yes"), { once: true });
  });
}


// ---- Signing in ----

async function signIn() {
  await loadCatalogs();
  $("sign-in").hidden = true;
  $("workspace").hidden = $("sign-out").hidden = false;
  showProvider().catch(() => {});
  const wanted = decodeURIComponent(location.hash.slice(1));
  const first = catalogs.find((catalog) => catalog.id === wanted) ?? catalogs[0];
  if (first) await show(first.id);
  else $("new-catalog").open = true;
}

function signOut(reason = "") {
  sessionStorage.removeItem(keyName);
  stopPolling();
  openCatalog = null;
  $("sign-in").hidden = false;
  $("workspace").hidden = $("sign-out").hidden = $("catalog").hidden = $("results").hidden = true;
  $("provider").textContent = "";
  say(reason, true);
  $("key").focus();
}

async function showProvider() {
  const provider = await call("GET", "/embedding/status");
  const parts = [
    `Embedding: ${provider.kind} ${provider.model}`,
    provider.dimension ? `${provider.dimension} dimensions` : "",
    provider.status === "ok" ? "" : provider.status,
    provider.workers ? count(provider.workers, "worker") : "paused (no workers)",
  ];
  $("provider").textContent = parts.filter(Boolean).join(" · ");
}


// ---- Catalogs ----

async function loadCatalogs() {
  catalogs = await everyPage("/api-catalogs", "catalogs");
  $("catalogs").replaceChildren(...catalogs.map((catalog) => {
    const facts = `${count(catalog.spec_count, "spec")} · ${count(catalog.operation_count, "operation")}`;
    const button = element("button", {},
      element("strong", { textContent: catalog.display_name || catalog.name }),
      element("span", { className: "faint", textContent: `version ${catalog.version} · ${facts}` }));
    button.dataset.catalog = catalog.id;
    onClick(button, () => show(catalog.id));
    return element("li", {}, button);
  }));
  if (!catalogs.length) $("catalogs").append(element("li", { className: "faint", textContent: "None yet." }));
  offerCatalogs($("scope"), "All catalogs", "");
  offerCatalogs($("catalog-source"), "None", "Those of ");
  markOpenCatalog();
}

function offerCatalogs(select, none, prefix) {
  const chosen = select.value;
  select.replaceChildren(
    new Option(none, ""),
    ...catalogs.map(({ id, name, version, display_name }) => new Option(`${prefix}${display_name || name} ${version}`, id)));
  select.value = catalogs.some(({ id }) => id === chosen) ? chosen : "";
}

function markOpenCatalog() {
  for (const button of $("catalogs").querySelectorAll("button")) {
    button.setAttribute("aria-current", button.dataset.catalog === openCatalog);
  }
  const catalog = catalogs.find(({ id }) => id === openCatalog);
  $("catalog").hidden = !catalog;
  if (!catalog) return;
  $("catalog-title").textContent = catalog.display_name || catalog.name;
  $("catalog-facts").textContent = [
    `${catalog.id} · version ${catalog.version}`, count(catalog.spec_count, "spec"),
    count(catalog.operation_count, "operation"), catalog.description,
  ].filter(Boolean).join(" · ");
}

async function show(id) {
  stopPolling();
  openCatalog = id;
  specs = new Map();
  $("specs").replaceChildren();
  history.replaceState(null, "", `#${encodeURIComponent(id)}`);
  markOpenCatalog();
  await loadSpecs();
}

onSubmit("create-catalog", async () => {
  const source = $("catalog-source").value;
  const catalog = await sendJson(source ? `${catalogPath(source)}/clone` : "/api-catalogs", {
    id: $("catalog-id").value, name: $("catalog-name").value, version: $("catalog-version").value,
  });
  $("create-catalog").reset();
  $("new-catalog").open = false;
  await loadCatalogs();
  await show(catalog.id);
});

onClick($("delete-catalog"), async () => {
  const id = openCatalog;
  if (!await confirmed(`Delete the catalog '${id}' with all its specs?`, "Delete catalog")) return;
  await call("DELETE", catalogPath(id));
  stopPolling();
  openCatalog = null;
  await loadCatalogs();
  if (catalogs.length) await show(catalogs[0].id);
  say(`The catalog '${id}' is deleted.`);
});

onClick($("reembed-all"), async () => {
  const { jobs } = await call("POST", `${catalogPath(openCatalog)}/reembed`);
  say(`${count(jobs.length, "spec")} queued.`);
  await poll();
});

onClick($("retry-failed"), async () => {
  const { jobs } = await call("POST", `${catalogPath(openCatalog)}/embedding-jobs/retry-failed`);
  say(jobs.length ? `${count(jobs.length, "spec")} queued.` : "No spec has failed.");
  await poll();
});


// ---- Specs ----

async function loadSpecs() {
  const mine = ++round;
  const [listed, statuses] = await Promise.all([
    everyPage(`${catalogPath(openCatalog)}/specs`, "specs"),
    everyPage(`${catalogPath(openCatalog)}/embedding-status`, "specs"),
  ]);
  if (mine !== round) return;
  const byName = new Map(statuses.map((status) => [status.spec_name, status]));
  const before = specs;
  specs = new Map();
  for (const spec of listed) {
    const status = byName.get(spec.spec_name);
    if (status) specs.set(spec.spec_name, { spec, status, row: before.get(spec.spec_name)?.row ?? specRow(spec.spec_name) });
  }
  const rows = [...specs.values()].map((entry) => (draw(entry), entry.row.item));
  $("specs").replaceChildren(...rows);
  if (!rows.length) {
    $("specs").append(element("li", { className: "nothing", textContent: "No spec yet. Upload an OpenAPI document." }));
  }
  pollWhileOpen();
}

function specRow(name) {
  const parts = {
    heading: element("h3", { textContent: name }),
    badge: element("span", { className: "badge" }),
    facts: element("div", { className: "faint" }),
    reason: element("div", { className: "reason wide" }),
    link: element("span"),
    schedule: element("select", { title: "How often it is refreshed" }),
    unrefreshed: element("div", { className: "reason bad wide" }),
    progress: element("progress", { className: "wide" }),
    warnings: element("details", { className: "wide" }),
    refresh: element("button", { textContent: "Refresh" }),
    cancel: element("button", { textContent: "Cancel" }),
    retry: element("button", { textContent: "Retry" }),
    reembed: element("button", { textContent: "Re-embed" }),
    remove: element("button", { textContent: "Delete", className: "danger" }),
  };
  parts.progress.setAttribute("aria-label", `Indexing ${name}`);
  const act = (button, path) => onClick(button, async () => { await call("POST", path()); await poll(); });
  const job = () => `/embedding-jobs/${specs.get(name).status.job_id}`;
  act(parts.cancel, () => `${job()}/cancel`);
  act(parts.retry, () => `${job()}/retry`);
  act(parts.reembed, () => `${specPath(name)}/reembed`);
  onClick(parts.refresh, async () => {
    try { sayStored(await call("POST", `${specPath(name)}/refresh`)); } finally { await loadSpecs(); }
  });
  parts.schedule.setAttribute("aria-label", `Refresh ${name}`);
  parts.schedule.addEventListener("change", () => run(parts.schedule, async () => {
    const body = JSON.stringify({ every_hours: Number(parts.schedule.value) });
    delete parts.schedule.dataset.hours; // back to what holds, should this fail
    try { await call("PUT", `${specPath(name)}/refresh-schedule`, body, "application/json"); } finally { await loadSpecs(); }
  }));
  onClick(parts.remove, async () => {
    if (!await confirmed(`Delete the spec '${name}'?`, "Delete spec")) return;
    await call("DELETE", specPath(name));
    await Promise.all([loadCatalogs(), loadSpecs()]);
  });
  const actions = element("div", { className: "actions" },
    parts.refresh, parts.cancel, parts.retry, parts.reembed, parts.remove);
  const source = element("div", { className: "source faint wide" }, parts.link, parts.schedule);
  const item = element("li", { className: "card spec" },
    parts.heading, parts.badge, parts.facts, actions, parts.progress, parts.reason, source, parts.unrefreshed, parts.warnings);
  item.dataset.spec = name;
  return { ...parts, source, item };
}

function draw({ spec, status, row }) {
  const shown = badge(status);
  if (row.badge.textContent && shown.tone !== row.item.dataset.tone) {
    $("announcement").textContent = `${spec.spec_name}: ${shown.text}`;
  }
  row.item.dataset.tone = shown.tone;
  row.badge.textContent = shown.text;
  row.reason.textContent = shown.reason;
  row.reason.hidden = !shown.reason;
  row.progress.hidden = shown.done === undefined;
  if (!row.progress.hidden) Object.assign(row.progress, { max: Math.max(1, shown.total), value: shown.done });
  row.facts.textContent = [
    spec.title, `OpenAPI ${spec.openapi_version}`, count(spec.operation_count, "operation"), `revision ${spec.revision}`,
  ].filter(Boolean).join(" · ");
  row.cancel.hidden = !isOpen(status);
  row.retry.hidden = !["failed", "cancelled"].includes(status.job_status);
  row.reembed.hidden = isOpen(status);
  drawSource(spec, row);
  drawWarnings(spec, row.warnings);
}

function drawSource(spec, row) {
  const fetched = spec.source_kind === "url";
  row.source.hidden = row.refresh.hidden = !fetched;
  row.unrefreshed.hidden = !spec.last_fetch_error;
  row.unrefreshed.textContent = `Not refreshed ${spec.last_fetch_failed_at ? at(spec.last_fetch_failed_at) : ""}: ${spec.last_fetch_error}`;
  if (!fetched) return;
  const hours = spec.refresh_every_hours;
  row.link.textContent = `From ${spec.source_url}, as of ${at(spec.last_fetched_at)}; refreshed`;
  if (row.schedule.dataset.hours === String(hours)) return; // it may be open under somebody's hand
  row.schedule.dataset.hours = hours;
  const schedules = { ...SCHEDULES, [hours]: SCHEDULES[hours] ?? `every ${hours} hours` };
  row.schedule.replaceChildren(...Object.entries(schedules).map(([value, text]) => new Option(text, value)));
  row.schedule.value = hours;
}

// The list of specs has only the first warnings of each; all of them are fetched when they are looked at.
function drawWarnings({ spec_name, revision, warnings, warning_count }, place) {
  place.hidden = !warning_count;
  if (place.dataset.drawn === String(revision)) return;
  place.dataset.drawn = revision;
  place.open = false;
  const lines = element("ul", {}, ...warningLines(warnings, warning_count));
  place.replaceChildren(element("summary", { textContent: count(warning_count, "warning") }), lines);
  place.ontoggle = async () => {
    if (!place.open || warnings.length === warning_count) return;
    try {
      ({ warnings, warning_count } = await call("GET", specPath(spec_name)));
      lines.replaceChildren(...warningLines(warnings, warning_count));
    } catch (error) { say(error.message, true); }
  };
}

function warningLines(warnings, total) {
  const lines = warnings.slice(0, 50).map(({ message, pointer }) => element("li", {},
    `${message} `, element("code", { textContent: pointer })));
  if (total > lines.length) lines.push(element("li", { textContent: `and ${total - lines.length} more` }));
  return lines;
}

$("file").addEventListener("change", () => {
  const [file] = $("file").files;
  if (!file) return;
  const slug = file.name.toLowerCase().replace(/(\.(json|ya?ml|gz))+$/, "").replace(/[^a-z0-9_-]+/g, "-");
  $("spec-name").value = slug.replace(/^-+|-+$/g, "").slice(0, 64);
});

onSubmit("upload", async () => {
  const name = $("spec-name").value;
  const body = await packed($("file").files[0]);
  if (body.size > LARGEST_BODY) throw new ApiError(413, { message: "The document is too large, even as gzip." });
  const stored = await call("PUT", `${specPath(name)}/upload`, body, "application/gzip");
  sayStored(stored);
  $("upload").reset();
  await Promise.all([loadCatalogs(), loadSpecs()]);
});

onSubmit("link", async () => {
  const body = JSON.stringify({ source_kind: "url", source_url: $("source-url").value });
  sayStored(await call("PUT", specPath($("linked-name").value), body, "application/json"));
  $("link").reset();
  await Promise.all([loadCatalogs(), loadSpecs()]);
});

function sayStored({ spec_name, changes: { added, changed, removed, unchanged } }) {
  say(`'${spec_name}' is stored: ${added} added, ${changed} changed, ${removed} removed, ${unchanged} unchanged.`);
}

// As gzip a large document passes the gateway, and every one arrives byte for byte as it is.
async function packed(file) {
  const [first, second] = new Uint8Array(await file.slice(0, 2).arrayBuffer());
  if (first === 0x1f && second === 0x8b) return file;
  return new Response(file.stream().pipeThrough(new CompressionStream("gzip"))).blob();
}


// ---- Polling: only while a job is open, and only while the page is seen ----

function stopPolling() {
  clearTimeout(timer);
  timer = 0;
  round += 1;
}

function pollWhileOpen(delay = POLL_MS) {
  clearTimeout(timer);
  timer = 0;
  const open = [...specs.values()].some(({ status }) => isOpen(status));
  if (openCatalog && open && !document.hidden) timer = setTimeout(poll, delay);
}

async function poll() {
  clearTimeout(timer);
  const mine = ++round;
  let statuses;
  try {
    statuses = await everyPage(`${catalogPath(openCatalog)}/embedding-status`, "specs");
  } catch (error) {
    if (mine !== round) return;
    fail(error);
    disconnected = true;
    pollWhileOpen(POLL_AFTER_ERROR_MS);
    return;
  }
  if (mine !== round) return;
  if (disconnected) say("");
  disconnected = false;
  let reload = statuses.length !== specs.size;
  for (const status of statuses) {
    const entry = specs.get(status.spec_name);
    reload ||= !entry || status.revision !== entry.status.revision || isOpen(status) !== isOpen(entry.status);
    if (!entry) continue;
    entry.status = status;
    draw(entry);
  }
  if (reload) await Promise.all([loadCatalogs(), loadSpecs(), showProvider()]).catch(fail);
  else pollWhileOpen();
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) pollWhileOpen(); // which does not, while hidden
  else if ([...specs.values()].some(({ status }) => isOpen(status))) poll();
});


// ---- Search ----

onSubmit("search", async () => {
  const asked = new URLSearchParams({ q: $("query").value, ranking: $("ranking").value, limit: "20" });
  if ($("scope").value) asked.set("catalog", $("scope").value);
  const found = await call("GET", `/search?${asked}`);
  const close = element("button", { className: "plain", textContent: "Close" });
  close.addEventListener("click", () => { $("results").hidden = true; });
  const head = element("div", { className: "head" },
    element("h2", { textContent: found.operations.length ? `${count(found.operations.length, "operation")}, best first` : "Nothing found" }),
    close);
  $("results").replaceChildren(head, ...found.operations.map(operationCard));
  if (found.note) head.after(element("p", { className: "note", textContent: found.note }));
  $("results").hidden = false;
});

function operationCard(operation) {
  const line = element("div", { className: operation.deprecated ? "line deprecated" : "line" },
    element("span", { className: `method ${operation.method}`, textContent: operation.method }),
    element("code", { textContent: operation.path }),
    ...operation.matched.map((channel) => element("span", { className: "matched", textContent: channel })));
  const summary = operation.summary || operation.description.slice(0, 200);
  const name = operation.operation_id === `${operation.method} ${operation.path}` ? "" : operation.operation_id;
  const place = [`${operation.catalog_id} / ${operation.spec_name}`, name, operation.deprecated ? "deprecated" : ""];
  return element("article", { className: "card operation" }, line,
    ...(summary ? [element("div", { textContent: summary })] : []),
    element("div", { className: "faint", textContent: place.filter(Boolean).join(" · ") }));
}


// ---- Start ----

$("docs-link").href = `${base}/docs`;
$("sign-out").addEventListener("click", () => signOut());
$("message").lastElementChild.addEventListener("click", () => say(""));
onSubmit("sign-in", async () => {
  sessionStorage.setItem(keyName, $("key").value.trim());
  $("key").value = "";
  await signIn();
});
if (sessionStorage.getItem(keyName)) {
  signIn().catch((error) => { signOut(); fail(error); });
} else {
  signOut();
  say("");
}
