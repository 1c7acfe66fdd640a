// Menus close on Escape, on a click elsewhere, and when the focus leaves them.
export function menus() {
  const all = [...document.querySelectorAll("details.menu")];
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of all.filter((menu) => menu.open)) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });
  document.addEventListener("click", (event) => {
    for (const menu of all) if (!menu.contains(event.target)) menu.open = false;
  });
  for (const menu of all) {
    menu.addEventListener("focusout", (event) => {
      const next = event.relatedTarget;
      // A press on a label's text focuses the page around the menu for a moment.
      if (next && !menu.contains(next) && !next.contains(menu)) menu.open = false;
    });
  }
}
