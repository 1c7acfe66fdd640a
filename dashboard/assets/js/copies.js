// Copies an event, in the form that its button names, to the clipboard.
export function copies() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy], [data-copy-link], [data-copy-text]");
    if (!button) return;
    const box = button.closest(".copies");
    const done = await copy(button);
    box.querySelector(".copied").textContent = done ? box.dataset.done : box.dataset.failed;
  });
}

async function copy(button) {
  if (button.dataset.copyText) return put(button.dataset.copyText);
  if (button.dataset.copyLink) return put(new URL(button.dataset.copyLink, location).href);
  const answer = await fetch(button.dataset.copy).catch(() => null);
  return answer?.ok && !answer.redirected ? put(await answer.text()) : false;
}

async function put(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // The clipboard's interface is there only over HTTPS and on this machine.
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}
