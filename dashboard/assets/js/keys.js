// The keys j and k go to the next and the previous row, unless they were switched off: from a row's own page to
// another's, and in a list from the opened row on, across the ends of the page.
import { toggleRow } from "./rows.js";

const NAME = "krill-logger-keys";

export function keys() {
  showChoice(document);
  document.addEventListener("change", (event) => {
    if (!event.target.matches("[data-keys]")) return;
    store(event.target.checked ? "on" : "off");
    showChoice(document);
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !["j", "k"].includes(event.key) || stored() === "off") return;
    if (event.target.closest("input:not([type=checkbox]), select, textarea, [contenteditable]")) return;
    const link = document.querySelector(`a[data-key="${event.key}"]`);
    if (link) link.click();
    else step(event.key === "j");
  });
}

// Shows the choice that is kept in the boxes that change it.
export function showChoice(place) {
  for (const box of place.querySelectorAll("[data-keys]")) box.checked = stored() !== "off";
}

async function step(forward) {
  const here = document.activeElement?.closest("tr.detail-row")?.previousElementSibling;
  const row = here ?? [...document.querySelectorAll("tr.row.is-open")].at(-1);
  if (!row) return;
  let target = row;
  do target = forward ? target.nextElementSibling : target.previousElementSibling;
  while (target && !target.matches("tr.row"));
  if (!target) {
    const page = document.querySelector(`.pager a[rel=${forward ? "next" : "prev"}]`);
    if (!page) return;
    const url = new URL(page.href);
    url.searchParams.set("open", forward ? "first" : "last");
    location.assign(url);
    return;
  }
  const toggle = target.querySelector("a.toggle");
  if (toggle.getAttribute("aria-expanded") !== "true") await toggleRow(toggle);
  await toggleRow(row.querySelector("a.toggle"));
  toggle.focus();
  target.scrollIntoView({ block: "nearest" });
  target.nextElementSibling?.scrollIntoView({ block: "nearest" });
}

let choice = null;
function stored() {
  try {
    return localStorage.getItem(NAME) ?? choice;
  } catch {
    return choice;
  }
}

function store(value) {
  choice = value;
  try {
    localStorage.setItem(NAME, value);
  } catch {
    // Where nothing may be stored the choice lasts for the page.
  }
}
