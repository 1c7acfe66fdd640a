// Runs before the first paint: controls that need scripts appear, those that replace them do not.
const root = document.documentElement;
root.classList.add("js");
// Facets are as the URL says; else they stand beside the rows where there is room, unless this browser closed them.
const said = new URLSearchParams(location.search).get("facets");
let closed = false;
try {
  closed = localStorage.getItem("krill-logger-facets") === "closed";
} catch {
  // Storage is blocked.
}
root.classList.toggle("facets-open", said ? said === "open" : !closed && matchMedia("(min-width: 1400px)").matches);
