// The search bar: suggestions while typing (a combobox with a list), the key / that leads to it, the place of an error.
// And beside date fields, which take words, the browser's calendar.
const WAIT = 120;

export function search() {
  const input = document.querySelector("input[data-complete]");
  if (input) {
    complete(input);
    if (input.dataset.wrong) {
      input.focus();
      input.setSelectionRange(...input.dataset.wrong.split(" ").map(Number));
    }
    document.addEventListener("keydown", (event) => {
      if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || switchedOff()) return;
      if (event.target.closest("input, select, textarea, [contenteditable]")) return;
      event.preventDefault();
      input.focus();
      input.select();
    });
  }
  for (const button of document.querySelectorAll("[data-picker]")) pick(button);
}

function switchedOff() {
  try {
    return localStorage.getItem("krill-logger-keys") === "off";
  } catch {
    return false;
  }
}

function complete(input) {
  const list = document.createElement("ul");
  list.className = "completions";
  list.id = "completions";
  list.hidden = true;
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", input.dataset.suggestions);
  const said = document.createElement("span");
  said.className = "visually-hidden";
  said.setAttribute("role", "status");
  input.after(list, said);
  for (const [name, value] of Object.entries({
    role: "combobox",
    "aria-autocomplete": "list",
    "aria-controls": list.id,
    "aria-expanded": "false",
  })) {
    input.setAttribute(name, value);
  }
  let found = null;
  let chosen = -1;
  let timer;

  const close = () => {
    clearTimeout(timer);
    found = null;
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const mark = (place) => {
    chosen = place;
    [...list.children].forEach((item, at) => item.setAttribute("aria-selected", String(at === chosen)));
    list.children[chosen]?.scrollIntoView({ block: "nearest" });
    if (chosen < 0) input.removeAttribute("aria-activedescendant");
    else input.setAttribute("aria-activedescendant", list.children[chosen].id);
  };
  // What was typed since these suggestions were asked for, if it goes on with their word; else null.
  const typedOn = () => {
    const [before, after] = [found.text.slice(0, found.at), found.text.slice(found.at)];
    if (!input.value.startsWith(before) || !input.value.endsWith(after)) return null;
    const typed = input.value.slice(before.length, input.value.length - after.length);
    return input.value.length < found.text.length || /\s/.test(typed) ? null : typed;
  };
  const show = (answer) => {
    const before = found?.items[chosen]?.text;
    found = answer;
    list.replaceChildren(
      ...answer.items.map(({ text, about }, at) => {
        const item = document.createElement("li");
        item.id = `completion-${at}`;
        item.setAttribute("role", "option");
        const word = document.createElement("bdi");
        word.textContent = text;
        item.append(word);
        if (about) {
          const note = document.createElement("span");
          note.className = "about";
          note.textContent = about;
          item.append(note);
        }
        return item;
      }),
    );
    list.hidden = !answer.items.length;
    input.setAttribute("aria-expanded", String(!list.hidden));
    said.textContent = answer.said;
    // A choice is not taken back because the list was renewed.
    mark(answer.items.findIndex(({ text }) => text === before));
  };
  const ask = async () => {
    const [text, at] = [input.value, input.selectionStart];
    // The server counts characters, the browser UTF-16 units.
    const query = new URLSearchParams({ text, at: [...text.slice(0, at)].length });
    const answer = await fetch(`${input.dataset.complete}?${query}`).catch(() => null);
    if (!answer?.ok || answer.redirected) return;
    const content = await answer.json();
    if (input.value === text && input.selectionStart === at && document.activeElement === input) {
      show({ ...content, text, at });
    }
  };
  const accept = (place) => {
    const characters = [...input.value];
    const { text } = found.items[place];
    const open = text.endsWith(":");
    const before = characters.slice(0, found.start).join("") + text + (open ? "" : " ");
    const end = found.end + [...typedOn()].length;
    input.value = before + characters.slice(end).join("").replace(/^ /, "");
    input.setSelectionRange(before.length, before.length);
    close();
    if (open) ask();
  };

  input.addEventListener("input", () => {
    if (found && typedOn() === null) close();
    clearTimeout(timer);
    timer = setTimeout(ask, WAIT);
  });
  input.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    const open = !list.hidden;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const last = list.children.length - 1;
      if (!open) ask();
      else if (event.key === "ArrowDown") mark(chosen >= last ? -1 : chosen + 1);
      else mark(chosen < 0 ? last : chosen - 1);
    } else if (event.key === "Escape" && open) {
      event.preventDefault();
      close();
    } else if ((event.key === "Enter" || event.key === "Tab") && open && chosen >= 0 && !event.shiftKey) {
      event.preventDefault();
      accept(chosen);
    } else if (event.key === "Enter") {
      close();
    }
  });
  input.addEventListener("blur", close);
  // Before the field loses the focus, and with it the list its place.
  list.addEventListener("pointerdown", (event) => event.preventDefault());
  list.addEventListener("click", (event) => {
    const item = event.target.closest("li");
    if (item && found) accept([...list.children].indexOf(item));
  });
}

function pick(button) {
  const calendar = document.createElement("input");
  calendar.type = "datetime-local";
  calendar.tabIndex = -1;
  calendar.setAttribute("aria-hidden", "true");
  button.after(calendar);
  button.addEventListener("click", () => calendar.showPicker());
  calendar.addEventListener("change", () => {
    button.parentElement.querySelector("input").value = calendar.value;
  });
}
