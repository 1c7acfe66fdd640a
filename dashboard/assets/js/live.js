// A report live: new rows come as server-sent events, as long as the page is seen and not paused.
const MOST_ROWS = 500;
const MOST_KNOWN = 5000;
const SAY_EVERY = 20_000;
const LOST_AFTER = 8000;

export function live() {
  const bar = document.querySelector("[data-live]");
  if (!bar) return;
  const button = bar.querySelector("button");
  const [shown, counted] = [bar.querySelector(".live-state"), bar.querySelector(".live-count")];
  const said = bar.querySelector("[role=status]");
  const known = new Set([...document.querySelectorAll("tr.row")].map((row) => row.id));
  let { after } = bar.dataset;
  let paused = bar.dataset.paused === "true";
  let source = null;
  let lost = 0;
  let [fresh, left, unsaid] = [0, 0, 0];

  const say = (text) => {
    if (shown.textContent === text) return;
    shown.textContent = text;
    said.textContent = text;
  };
  const close = () => {
    clearTimeout(lost);
    source?.close();
    source = null;
  };
  const open = () => {
    if (source || paused || document.hidden) return;
    const url = new URL(bar.dataset.live, location);
    url.searchParams.set("after", after);
    source = new EventSource(url);
    source.addEventListener("open", () => {
      clearTimeout(lost);
      lost = 0;
      say(bar.dataset.on);
    });
    source.addEventListener("rows", (event) => {
      after = event.lastEventId;
      take(JSON.parse(event.data));
    });
    source.addEventListener("away", (event) => say(JSON.parse(event.data)));
    source.addEventListener("error", () => {
      if (source?.readyState === EventSource.CLOSED) {
        close();
        say(bar.dataset.ended);
        // Streams end by plan; only one that does not come back is worth a word.
      } else lost ||= setTimeout(() => say(bar.dataset.back), LOST_AFTER);
    });
  };
  const take = (news) => {
    left += news.total - news.shown;
    // Our own template, in which every stored value is escaped.
    const table = document.createRange().createContextualFragment(news.rows).querySelector("table");
    const rows = [...(table?.tBodies[0].rows ?? [])].filter((row) => !known.has(row.id));
    if (rows.length) {
      let body = document.querySelector("table.rows")?.tBodies[0];
      if (!body) {
        const wrap = document.createElement("div");
        wrap.className = "table-wrap";
        document.querySelector("main > .empty")?.remove();
        bar.after(wrap);
        body = table.tBodies[0];
        body.replaceChildren();
        wrap.append(table);
      }
      for (const row of rows) {
        known.add(row.id);
        row.classList.add("is-new");
      }
      body.prepend(...rows);
      bound(body);
      for (const id of [...known].slice(0, Math.max(0, known.size - MOST_KNOWN))) known.delete(id);
    }
    fresh += rows.length;
    unsaid += rows.length;
    const parts = [`${bar.dataset.new} ${fresh.toLocaleString(document.documentElement.lang)}`];
    if (left) parts.push(`${bar.dataset.left} ${left.toLocaleString(document.documentElement.lang)}`);
    counted.textContent = fresh || left ? parts.join(" · ") : "";
  };
  setInterval(() => {
    if (unsaid) said.textContent = `${bar.dataset.new} ${unsaid.toLocaleString(document.documentElement.lang)}`;
    unsaid = 0;
  }, SAY_EVERY);

  const pause = (wanted) => {
    paused = wanted;
    button.setAttribute("aria-pressed", String(paused));
    const here = new URL(location.href);
    here.searchParams.set("live", paused ? "paused" : "1");
    history.replaceState(null, "", here);
    if (paused) {
      close();
      say(bar.dataset.off);
    } else open();
  };
  button.addEventListener("click", () => pause(!paused));
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", open);
  if (paused) say(bar.dataset.off);
  else open();
}

// Takes the oldest rows away, but none that is being read.
function bound(body) {
  const rows = [...body.querySelectorAll(":scope > tr.row")];
  for (const row of rows.slice(MOST_ROWS)) {
    if (!row.classList.contains("is-open") && !row.contains(document.activeElement)) row.remove();
  }
}
