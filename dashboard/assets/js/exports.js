// Shows how far an export is that a link started; the browser downloads it as it does without scripts.
const EVERY = 500;
const MISSING = 20;

export function exports() {
  for (const menu of document.querySelectorAll("[data-exports]")) {
    menu.addEventListener("click", (event) => {
      const link = event.target.closest("a[data-export]");
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
      const job = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
      const target = new URL(link.href);
      target.searchParams.set("job", job);
      // The browser goes where the link leads when this returns, and finds it as it was afterwards.
      const before = link.getAttribute("href");
      link.href = target;
      setTimeout(() => link.setAttribute("href", before));
      follow(menu, job);
    });
  }
}

async function follow(menu, job) {
  const frame = menu.querySelector(".export-progress");
  const bar = frame.querySelector("progress");
  const said = menu.querySelector(".export-said");
  menu.dataset.job = job;
  bar.removeAttribute("value");
  frame.hidden = false;
  said.textContent = "";
  for (let missing = 0; missing < MISSING && menu.dataset.job === job; ) {
    await new Promise((done) => setTimeout(done, EVERY));
    const answer = await fetch(`/exports/${job}`).catch(() => null);
    const state = answer?.ok && !answer.redirected ? await answer.json().catch(() => null) : null;
    if (!state) {
      missing++;
      continue;
    }
    missing = 0;
    if (state.total) {
      bar.max = state.total;
      bar.value = state.rows;
    }
    if (state.state === "running") {
      said.textContent = fill(menu.dataset.running, { rows: number(state.rows), total: number(state.total) });
      continue;
    }
    said.textContent =
      state.state === "done" ? fill(menu.dataset.done, { rows: number(state.rows), hash: state.sha256 }) : menu.dataset.failed;
    break;
  }
  if (menu.dataset.job === job) frame.hidden = true;
}

function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (_whole, name) => values[name]);
}

function number(value) {
  return value === null ? "?" : value.toLocaleString(document.documentElement.lang);
}
