// Runs before the first paint: controls that need scripts appear, those that replace them do not.
const root = document.documentElement;
root.classList.add("js");
// Facets stand beside the rows where there is room, unless this browser closed them.
let closed = false;
try {
  closed = localStorage.getItem("krill-logger-facets") === "closed";
} catch {
  // Storage is blocked.
}
root.classList.toggle("facets-open", !closed && matchMedia("(min-width: 1400px)").matches);
