// Trees of JSON: further entries come when they are asked for, a search answers in place, values and paths are copied.
export function trees() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest(".tree .t-more a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    more(link);
  });
  // Opening what holds nothing yet loads its first entries. (The event does not bubble.)
  document.addEventListener(
    "toggle",
    (event) => {
      const first = event.target.open && event.target.querySelector?.(":scope > ul > li:first-child.t-more > a");
      if (first) more(first);
    },
    true,
  );
  document.addEventListener("submit", (event) => {
    const form = event.target.closest(".detail .t-find");
    if (!form) return;
    event.preventDefault();
    find(form);
  });
  // The cross in a search field empties it.
  document.addEventListener("search", (event) => {
    const form = event.target.closest?.(".detail .t-find");
    if (form && !event.target.value) find(form);
  });
  // Not `pointerover`: that comes without a move, too, when an entry slides below a pointer at rest.
  for (const kind of ["pointermove", "focusin"]) {
    document.addEventListener(kind, (event) => {
      const entry = event.target.closest?.(".tree li[data-at]");
      if (entry) beside(entry);
    });
  }
}

async function fragment(address) {
  const url = new URL(address, location);
  url.searchParams.set("fragment", "1");
  const answer = await fetch(url).catch(() => null);
  if (!answer?.ok || answer.redirected) return null;
  // Our own template, in which every stored value is escaped.
  return document.createRange().createContextualFragment(await answer.text());
}

async function more(link) {
  if (link.getAttribute("aria-busy") === "true") return;
  link.setAttribute("aria-busy", "true");
  const focused = document.activeElement === link;
  const entries = await fragment(link.href);
  link.removeAttribute("aria-busy");
  if (!entries) {
    location.assign(link.href);
    return;
  }
  const first = entries.querySelector("a, summary");
  link.closest("li").replaceWith(entries);
  if (focused) first?.focus();
}

async function find(form) {
  const payload = form.closest(".payload");
  const box = payload.querySelector(".tree-box");
  const text = form.elements.find.value.trim();
  const results = text ? await fragment(`${form.action}?${new URLSearchParams(new FormData(form))}`) : null;
  if (text && !results) {
    form.submit();
    return;
  }
  payload.querySelector(".t-results")?.remove();
  box.hidden = Boolean(text);
  if (!text) return;
  const place = document.createElement("div");
  place.className = "tree-box t-results";
  place.tabIndex = 0;
  place.setAttribute("role", "region");
  place.setAttribute("aria-label", form.elements.find.getAttribute("aria-label"));
  place.append(results);
  box.after(place);
}

// There is one set of tools, beside the value that the pointer or the focus is at.
let tools = null;
function beside(entry) {
  const template = document.querySelector(".t-tools-template");
  if (!template || tools?.closest("li") === entry) return;
  tools ??= template.content.firstElementChild.cloneNode(true);
  const value = tools.querySelector('[data-tool="value"]');
  const way = tools.querySelector('[data-tool="way"]');
  const raw = entry.closest("[data-raw]").dataset.raw;
  value.dataset.copy = entry.dataset.at ? `${raw}?at=${entry.dataset.at}` : raw;
  way.dataset.copyText = entry.dataset.way;
  way.hidden = !entry.dataset.way;
  tools.querySelector(".copied").textContent = "";
  const details = entry.querySelector(":scope > details[open] > ul");
  if (details) details.before(tools);
  else entry.append(tools);
}
