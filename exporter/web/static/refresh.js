// Keeps an open page current: asks the status for its ETag, fetches the page when that has changed, and swaps the regions
// that differ. What is open, focused, selected or scrolled to stays. Times are written in the viewer's zone.
"use strict";
(() => {
  const main = document.getElementById("main");
  const every = Number(main.dataset.refresh || 0) * 1000;
  const skew = Date.now() / 1000 - Number(document.documentElement.dataset.now);
  const news = document.getElementById("news");
  const trouble = document.getElementById("trouble");
  const PATIENCE = 20_000; // milliseconds: a connection that died while the computer slept never answers
  const raw = new Map();
  let tag = main.dataset.revision ? `W/"${main.dataset.revision}"` : null;
  let newest = main.dataset.newest ?? null;
  let timer = null;
  let turning = false;
  let last = Date.now();

  const two = (number) => String(number).padStart(2, "0");

  function zone(date) {
    const minutes = -date.getTimezoneOffset();
    if (!minutes) return "UTC";
    const size = Math.abs(minutes);
    return `UTC${minutes < 0 ? "−" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
  }

  const clock = (date) => `${two(date.getHours())}:${two(date.getMinutes())}`;
  const second = (date) => `${clock(date)}:${two(date.getSeconds())}`;
  const day = (date) => `${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const full = (date) => `${date.getFullYear()}-${day(date)} ${second(date)} ${zone(date)}`;

  function ago(seconds) {
    const past = Math.max(Math.round(seconds), 0);
    if (past < 1) return "just now";
    if (past < 120) return `${past} s ago`;
    if (past < 7200) return `${Math.round(past / 60)} min ago`;
    if (past < 172800) return `${(past / 3600).toFixed(1).replace(".0", "")} h ago`;
    return `${Math.round(past / 86400)} days ago`;
  }

  function localise(root) {
    const now = Date.now() / 1000 - skew;
    for (const element of root.querySelectorAll("[data-at]")) {
      const at = Number(element.dataset.at);
      if (!at) continue;
      const date = new Date(at * 1000);
      const written = { ago: () => ago(now - at), clock, second, day, full };
      const text = written[element.dataset.as](date);
      if (element.textContent !== text) element.textContent = text;
      if (element.dataset.as === "ago") element.title = full(date);
    }
    for (const element of root.querySelectorAll("[data-zone]")) element.textContent = `times in ${zone(new Date())}`;
  }

  const regions = () => main.querySelectorAll("[data-region][id]");

  function focusOf(region) {
    const active = document.activeElement;
    if (!region.contains(active)) return () => {};
    const link = active.getAttribute("href");
    const same = (element) => (active.id ? element.id === active.id : link && element.getAttribute("href") === link);
    const place = [...region.querySelectorAll("a, summary, [tabindex], [id]")].filter(same).indexOf(active);
    return () => {
      const found = [...region.querySelectorAll("a, summary, [tabindex], [id]")].filter(same);
      (found[place] || found[0] || main).focus({ preventScroll: true });
    };
  }

  const scrollers = (region) => region.querySelectorAll(".scroll, pre");

  function swap(page) {
    const [x, y] = [window.scrollX, window.scrollY];
    for (const region of regions()) {
      const fresh = page.getElementById(region.id);
      if (!fresh || fresh.innerHTML === raw.get(region.id)) continue;
      raw.set(region.id, fresh.innerHTML);
      const open = new Map([...region.querySelectorAll("details[id]")].map((each) => [each.id, each.open]));
      const scrolled = [...scrollers(region)].map((each) => [each.scrollLeft, each.scrollTop]);
      const refocus = focusOf(region);
      region.replaceChildren(...document.importNode(fresh, true).childNodes);
      for (const each of region.querySelectorAll("details[id]")) each.open = open.get(each.id) ?? each.open;
      localise(region);
      [...scrollers(region)].forEach((each, place) => each.scrollTo(...(scrolled[place] ?? [0, 0])));
      refocus();
    }
    window.scrollTo(x, y);
  }

  function announce(verdict) {
    if (verdict && newest !== null && verdict.id !== newest) {
      news.textContent = `New verdict on ${verdict.watch}: ${verdict.summary || "no readable answer"}`;
    }
    newest = verdict ? verdict.id : "";
  }

  const selecting = () => {
    const chosen = document.getSelection();
    return chosen && !chosen.isCollapsed && main.contains(chosen.anchorNode);
  };

  async function refresh() {
    const signal = AbortSignal.timeout(PATIENCE);
    const status = await fetch(main.dataset.status, {
      cache: "no-store",
      headers: tag ? { "If-None-Match": tag } : {},
      signal,
    });
    if (status.status === 304) return;
    if (!status.ok) throw new Error(status.statusText);
    const { data } = await status.json();
    if (selecting()) return;
    const page = await fetch(location.href, { cache: "no-store", headers: { Accept: "text/html" }, signal });
    if (!page.ok) throw new Error(page.statusText);
    const text = await page.text();
    if (selecting()) return;
    swap(new DOMParser().parseFromString(text, "text/html"));
    announce(data.newest_verdict);
    tag = status.headers.get("ETag");
  }

  async function turn() {
    if (turning) return;
    turning = true;
    timer = null;
    try {
      await refresh();
      last = Date.now();
      trouble.textContent = "";
    } catch {
      trouble.textContent = `lmwatch does not answer; this is how it was at ${clock(new Date(last))}.`;
    }
    turning = false;
    localise(document);
    plan();
  }

  function plan() {
    if (every && timer === null && !document.hidden) timer = setTimeout(turn, every);
  }

  for (const region of regions()) raw.set(region.id, region.innerHTML);
  localise(document);
  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    timer = null;
    if (every && !document.hidden) turn();
  });
  if (every && !document.hidden) turn();
})();
