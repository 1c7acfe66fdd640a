// Opens a row's details below it without loading the page again; the URL says which rows are open, as without scripts.
import { showChoice } from "./keys.js";

export function openRows() {
  document.addEventListener("click", (event) => {
    const toggle = event.target.closest("table.rows a.toggle");
    if (!toggle || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    toggleRow(toggle);
  });
  document.addEventListener("keydown", (event) => {
    const toggle = event.target.closest("table.rows a.toggle");
    if (toggle && event.key === " ") {
      event.preventDefault();
      toggle.click();
    }
  });
}

// Opens the row if it is closed, and closes it if it is open.
export async function toggleRow(toggle) {
  const row = toggle.closest("tr");
  if (toggle.getAttribute("aria-expanded") === "true") {
    if (row.nextElementSibling?.classList.contains("detail-row")) row.nextElementSibling.remove();
    mark(row, toggle, false);
    return;
  }
  if (toggle.getAttribute("aria-busy") === "true") return;
  toggle.setAttribute("aria-busy", "true");
  const answer = await fetch(toggle.dataset.fragment).catch(() => null);
  toggle.removeAttribute("aria-busy");
  if (!answer?.ok || answer.redirected) {
    location.assign(toggle.href);
    return;
  }
  const cell = document.createElement("td");
  cell.setAttribute("role", "cell");
  cell.colSpan = row.cells.length;
  // Our own template, in which every stored value is escaped.
  cell.append(document.createRange().createContextualFragment(await answer.text()));
  showChoice(cell);
  const detail = document.createElement("tr");
  detail.className = "detail-row";
  detail.setAttribute("role", "row");
  detail.append(cell);
  row.after(detail);
  mark(row, toggle, true);
}

function mark(row, toggle, open) {
  row.classList.toggle("is-open", open);
  toggle.setAttribute("aria-expanded", String(open));
  const here = new URL(location.href);
  const others = here.searchParams.getAll("open").filter((id) => id !== toggle.dataset.id);
  here.searchParams.delete("open");
  for (const id of others) here.searchParams.append("open", id);
  if (open) here.searchParams.append("open", toggle.dataset.id);
  history.replaceState(null, "", here);
}
