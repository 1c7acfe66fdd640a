// The buttons that move a column up or down do so in place; without scripts they send the form.
export function order() {
  for (const list of document.querySelectorAll("[data-order]")) {
    const said = list.parentElement.querySelector("[data-order-said]");
    list.addEventListener("click", (event) => {
      const button = event.target.closest("button.step");
      if (!button) return;
      event.preventDefault();
      const item = button.closest("li");
      if (button.name === "up") item.previousElementSibling?.before(item);
      else item.nextElementSibling?.after(item);
      button.focus();
      said.textContent = list.dataset.said
        .replace("{label}", item.querySelector("label").textContent)
        .replace("{place}", String([...list.children].indexOf(item) + 1));
    });
  }
}
