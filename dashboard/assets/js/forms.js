// Selects of the pager go at once; suggestions come while typing.
const WAIT = 150;

export function forms() {
  for (const control of document.querySelectorAll("[data-submit]")) {
    control.addEventListener("change", () => control.form.requestSubmit());
  }
  for (const input of document.querySelectorAll("input[data-values]")) {
    let timer;
    const suggest = () => {
      clearTimeout(timer);
      timer = setTimeout(() => fill(input), WAIT);
    };
    input.addEventListener("focus", suggest);
    input.addEventListener("input", suggest);
  }
  // A page from the back-forward cache may show choices that were not sent.
  addEventListener("pageshow", (event) => {
    if (event.persisted) for (const form of document.querySelectorAll("form")) form.reset();
  });
}

async function fill(input) {
  const prefix = input.value;
  const answer = await fetch(`${input.dataset.values}?prefix=${encodeURIComponent(prefix)}`).catch(() => null);
  if (!answer?.ok || answer.redirected || input.value !== prefix) return;
  const values = await answer.json();
  input.list?.replaceChildren(
    ...values.map((value) => {
      const option = document.createElement("option");
      option.value = value;
      return option;
    }),
  );
}
