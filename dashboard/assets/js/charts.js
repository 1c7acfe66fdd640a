// Shows the numbers of the interval under the pointer; without scripts the browser shows them as a tooltip.
import { zoom } from "./zoom.js";

export function charts() {
  for (const chart of document.querySelectorAll(".chart:not(.zoomable)")) {
    tip(chart);
    if (chart.querySelector(".plot a")) zoom(chart.querySelector(".plot"));
  }
}

export function tip(chart) {
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  tip.setAttribute("aria-hidden", "true");
  chart.append(tip);
  for (const title of chart.querySelectorAll(".hit title")) {
    title.parentElement.dataset.tip = title.textContent;
    title.remove();
  }
  const show = (event) => {
    const hit = event.target.closest(".hit") ?? event.target.querySelector?.(":scope > .hit");
    tip.hidden = !hit;
    if (!hit) return;
    tip.textContent = hit.dataset.tip;
    const frame = chart.getBoundingClientRect();
    const at = hit.getBoundingClientRect();
    const middle = at.left + at.width / 2 - frame.left;
    const left = middle > frame.width / 2 ? middle - tip.offsetWidth - 12 : middle + 12;
    tip.style.left = `${Math.max(0, left)}px`;
  };
  const hide = () => {
    tip.hidden = true;
  };
  chart.addEventListener("pointerover", show);
  chart.addEventListener("pointerleave", hide);
  chart.addEventListener("focusin", show);
  chart.addEventListener("focusout", hide);
}
