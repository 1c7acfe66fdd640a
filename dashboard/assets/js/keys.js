// The keys j and k go to the next and the previous row, unless they were switched off.
const NAME = "krill-logger-keys";

export function keys() {
  const box = document.querySelector("[data-keys]");
  if (!box) return;
  box.checked = stored() !== "off";
  box.addEventListener("change", () => store(box.checked ? "on" : "off"));
  document.addEventListener("keydown", (event) => {
    if (!box.checked || event.ctrlKey || event.metaKey || event.altKey || !["j", "k"].includes(event.key)) return;
    if (event.target.closest("input:not([type=checkbox]), select, textarea")) return;
    document.querySelector(`a[data-key="${event.key}"]`)?.click();
  });
}

function stored() {
  try {
    return localStorage.getItem(NAME);
  } catch {
    return null;
  }
}

function store(value) {
  try {
    localStorage.setItem(NAME, value);
  } catch {
    // Where nothing may be stored the choice lasts for the page.
  }
}
