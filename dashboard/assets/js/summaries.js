// Loads the histogram and the facets of a result after its rows.
import { tip } from "./charts.js";
import { zoom } from "./zoom.js";

// What is asked for before the rows are on the screen takes the time from them.
const drawn = new Promise((done) => requestAnimationFrame(() => setTimeout(done)));

export function summaries() {
  const histogram = document.querySelector("section.histogram");
  if (histogram) load(histogram).then(() => draw(histogram));
  // Without scripts it is the only thing on its page.
  for (const alone of document.querySelectorAll(".summary")) draw(alone);
  const facets = document.querySelector("details.facets");
  if (facets) beside(facets);
  for (const late of document.querySelectorAll("[data-late]")) load(late, late.dataset.late);
}

function draw(place) {
  for (const chart of place.querySelectorAll(".zoomable")) {
    tip(chart);
    zoom(chart.querySelector(".plot"));
  }
}

function beside(facets) {
  const root = document.documentElement;
  let loaded = false;
  const show = () => {
    if (!facets.open || loaded) return;
    loaded = true;
    load(facets);
  };
  facets.addEventListener("toggle", () => {
    show();
    if (root.classList.contains("facets-open") === facets.open) return;
    root.classList.toggle("facets-open", facets.open);
    tell();
    try {
      localStorage.setItem("krill-logger-facets", facets.open ? "open" : "closed");
    } catch {
      // Storage is blocked: it stays so until the next page.
    }
  });
  facets.open = root.classList.contains("facets-open");
  // So that a link shows others what is seen here.
  if (facets.open !== matchMedia("(min-width: 1400px)").matches) tell();
  show();

  function tell() {
    const here = new URL(location.href);
    here.searchParams.set("facets", facets.open ? "open" : "closed");
    history.replaceState(history.state, "", here);
  }
}

async function load(place, source = place.dataset.fragment) {
  place.setAttribute("aria-busy", "true");
  await drawn;
  const answer = await fetch(source).catch(() => null);
  const text = answer?.ok && !answer.redirected ? await answer.text().catch(() => null) : null;
  place.removeAttribute("aria-busy");
  if (text === null) {
    place.querySelector(".failed").hidden = false;
    return;
  }
  // Our own template, in which every stored value is escaped.
  place.append(document.createRange().createContextualFragment(text));
}
