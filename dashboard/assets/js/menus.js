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
      if (event.relatedTarget && !menu.contains(event.relatedTarget)) menu.open = false;
    });
  }
}
