// Zooms a histogram, whose bars are links, to the bars that the pointer or the keyboard selects.
export function zoom(plot) {
  const bars = [...plot.querySelectorAll("a")];
  let anchor = null;
  let head = null;
  let dragged = false;

  const mark = (from, to) => {
    const [first, last] = [Math.min(from, to), Math.max(from, to)];
    bars.forEach((bar, place) => bar.classList.toggle("is-selected", place >= first && place <= last));
  };
  const clear = () => {
    anchor = head = null;
    for (const bar of bars) bar.classList.remove("is-selected");
  };
  const go = () => {
    const [first, last] = [bars[Math.min(anchor, head)], bars[Math.max(anchor, head)]];
    const url = new URL(first.href.baseVal, location.href);
    url.searchParams.set("to", new URL(last.href.baseVal, location.href).searchParams.get("to"));
    location.assign(url);
  };
  const at = (event) => {
    const frame = plot.getBoundingClientRect();
    const place = Math.floor(((event.clientX - frame.left) / frame.width) * bars.length);
    return Math.max(0, Math.min(bars.length - 1, place));
  };

  plot.addEventListener("dragstart", (event) => event.preventDefault());
  plot.addEventListener("pointerdown", (event) => {
    if (event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    anchor = head = at(event);
    dragged = false;
  });
  plot.addEventListener("pointermove", (event) => {
    if (anchor === null || !event.buttons) return;
    head = at(event);
    if (head === anchor && !dragged) return;
    if (!dragged) plot.setPointerCapture(event.pointerId);
    dragged = true;
    mark(anchor, head);
  });
  plot.addEventListener("pointerup", () => {
    if (dragged) go();
    else clear();
  });
  plot.addEventListener("pointercancel", clear);
  // The click that ends a drag is not one on a bar.
  plot.addEventListener(
    "click",
    (event) => {
      if (dragged) event.preventDefault();
      dragged = false;
    },
    true,
  );

  // One bar is in the order of the Tab key; the arrows go to the others.
  const reach = (place) => {
    for (const bar of bars) bar.setAttribute("tabindex", "-1");
    bars[place].setAttribute("tabindex", "0");
  };
  reach(bars.length - 1);
  plot.addEventListener("focusin", (event) => reach(Math.max(0, bars.indexOf(event.target.closest("a")))));
  plot.addEventListener("focusout", (event) => {
    if (!plot.contains(event.relatedTarget)) clear();
  });
  plot.addEventListener("keydown", (event) => {
    const place = bars.indexOf(document.activeElement);
    const steps = { ArrowLeft: place - 1, ArrowRight: place + 1, Home: 0, End: bars.length - 1 };
    if (event.key in steps) {
      event.preventDefault();
      const next = Math.max(0, Math.min(bars.length - 1, steps[event.key]));
      if (event.shiftKey) {
        anchor ??= place;
        head = next;
        mark(anchor, head);
      } else clear();
      bars[next].focus();
    } else if (event.key === "Enter" && anchor !== null) {
      event.preventDefault();
      go();
    } else if (event.key === "Escape") clear();
  });
}
