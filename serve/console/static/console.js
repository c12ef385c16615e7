/* Keys, forms that are sent once, and times that stay true. No library but htmx, no inline code. */
"use strict";
(() => {
  const TYPED = "input:not([type=checkbox], [type=hidden]), select, textarea, [contenteditable]";
  const AGES = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const STORED = "forewarn-keys";
  const SETTLING_MS = 300;
  const RENEW_MS = 60000;
  let shownAt = -Infinity;
  let heldKey = null;
  const dialog = document.getElementById("key-list");

  const keysAct = () => localStorage.getItem(STORED) !== "off";
  const isShown = (element) => element.getClientRects().length > 0;
  const withKey = () => [...document.querySelectorAll("[data-key]")].filter(isShown);

  function words(element) {
    if (element.dataset.says) return element.dataset.says;
    const copy = element.cloneNode(true);
    copy.querySelectorAll("kbd").forEach((key) => key.remove());
    return copy.textContent.trim().replace(/\s+/g, " ");
  }

  function showKeys() {
    const list = dialog.querySelector("dl");
    list.replaceChildren(...withKey().flatMap((element) => {
      const term = document.createElement("dt");
      const key = document.createElement("kbd");
      key.textContent = element.dataset.key;
      term.append(key);
      const text = document.createElement("dd");
      text.textContent = words(element);
      return [term, text];
    }));
    document.getElementById("keys-on").checked = keysAct();
    dialog.showModal();
  }

  function act(element) {
    if (element.id === "keys") return showKeys();
    if (element.matches(TYPED)) {
      element.focus();
      if (element.select) element.select();
      return undefined;
    }
    element.click();
    const first = element.closest("details[open]")?.querySelector(TYPED);
    if (element.tagName === "SUMMARY" && first) {
      first.focus();
      first.select?.();
    }
    return undefined;
  }

  document.addEventListener("keydown", (event) => {
    // a key that acted and is still down types nothing where it led
    if (event.repeat && event.key === heldKey) event.preventDefault();
    const typing = event.target.closest?.(TYPED);
    if (event.key === "Escape" && typing) typing.blur();
    // a key that is kept down acts once; what a browser or a reader means by it is left alone
    if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || typing) return;
    if (dialog?.open || (!keysAct() && event.key !== "?")) return;
    const element = withKey().find((one) => one.dataset.key === event.key);
    if (!element) return;
    event.preventDefault();
    heldKey = event.key;
    if (!isSettling(element)) act(element);
  });

  document.addEventListener("keyup", () => {
    heldKey = null;
  });

  // the second press or click of two that were meant for one item must not decide the next
  function isSettling(element) {
    if (element.closest("[data-settles]")) return performance.now() - loadedAt < SETTLING_MS;
    return Boolean(element.closest("#queue-view")) && performance.now() - shownAt < SETTLING_MS;
  }

  document.addEventListener("click", (event) => {
    if (!event.target.closest("button") || !isSettling(event.target)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }, true);

  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.target.id !== "queue-view") return;
    shownAt = performance.now();
    document.getElementById("messages").replaceChildren();
    (document.getElementById("item-title") || document.querySelector("#queue-view button"))?.focus();
    document.querySelectorAll("form[data-ends]").forEach((form) => {
      setTimeout(() => form.remove(), Number(form.dataset.ends) * 1000);
    });
  });

  // an item is held for as long as somebody looks at it
  setInterval(() => {
    const item = document.querySelector("[data-renew]");
    if (!item || document.visibilityState !== "visible") return;
    const { renew, token } = item.dataset;
    htmx.ajax("POST", renew, { source: item, swap: "none", values: { token } });
  }, RENEW_MS);

  document.addEventListener("click", (event) => {
    if (event.target.closest("#keys")) showKeys();
    if (event.target.closest("[data-print]")) window.print();
    const fault = event.target.closest("[data-line]");
    if (fault) showLine(document.getElementById("text"), Number(fault.dataset.line));
  });

  // the line that a fault names is selected, and in sight
  function showLine(text, line) {
    const lines = text.value.split("\n");
    const start = lines.slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
    text.focus();
    text.setSelectionRange(start, start + (lines[line - 1] || "").length);
    text.scrollTop = (text.scrollHeight / lines.length) * Math.max(0, line - 4);
  }

  document.addEventListener("change", (event) => {
    if (event.target.id !== "keys-on") return;
    localStorage.setItem(STORED, event.target.checked ? "on" : "off");
    document.body.classList.toggle("no-keys", !keysAct());
  });

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("[data-once]")) return;
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
    form.querySelectorAll("button").forEach((button) => button.setAttribute("aria-busy", "true"));
  });

  // the back button shows the page as it was left: its forms may be sent again
  window.addEventListener("pageshow", () => {
    document.querySelectorAll("form[data-sent]").forEach((form) => {
      delete form.dataset.sent;
      form.querySelectorAll("button").forEach((button) => button.removeAttribute("aria-busy"));
    });
  });

  function age(seconds) {
    for (let i = 0; i < AGES.length; i += 1) {
      const [unit, name] = AGES[i];
      const count = Math.floor(seconds / unit);
      if (count < 1) continue;
      const below = AGES[i + 1];
      const rest = below ? Math.floor((seconds - count * unit) / below[0]) : 0;
      return count < 2 && rest ? `${count} ${name} ${rest} ${below[1]}` : `${count} ${name}`;
    }
    return "0 s";
  }

  const loadedAt = performance.now();
  const serverNow = Number(document.body.dataset.now) / 1e6;

  function refreshTimes() {
    const now = serverNow + (performance.now() - loadedAt) / 1000;
    document.querySelectorAll("time[data-at]").forEach((time) => {
      time.textContent = `${age(Math.max(0, now - Number(time.dataset.at) / 1e6))} ago`;
    });
  }

  setInterval(refreshTimes, 15000);

  // searches that somebody saved: names and addresses, in this browser
  const MOST_SAVED = 30;
  const saved = document.querySelector("[data-saved]");
  const savedName = saved && `forewarn-saved ${saved.dataset.saved} ${saved.dataset.owner}`;

  function savedSearches() {
    try {
      const kept = JSON.parse(localStorage.getItem(savedName) || "[]");
      return kept.filter((one) => typeof one.name === "string" && typeof one.query === "string");
    } catch {
      return [];
    }
  }

  function keepSearches(kept) {
    localStorage.setItem(savedName, JSON.stringify(kept.slice(-MOST_SAVED)));
    showSearches();
  }

  function showSearches() {
    const kept = savedSearches();
    saved.querySelector("ul").replaceChildren(...kept.map(({ name, query }) => {
      const line = document.createElement("li");
      const link = document.createElement("a");
      link.href = `${saved.dataset.saved}?${new URLSearchParams(query)}`;
      link.textContent = name;
      const button = document.createElement("button");
      button.type = "button";
      button.className = "quiet";
      button.textContent = "×";
      button.setAttribute("aria-label", `Forget the search ${name}`);
      button.addEventListener("click", () => {
        keepSearches(savedSearches().filter((one) => one.name !== name));
      });
      line.append(link, " ", button);
      return line;
    }));
    saved.hidden = kept.length === 0 && !saved.querySelector("form");
  }

  if (saved) {
    showSearches();
    saved.querySelector("form")?.addEventListener("submit", (event) => {
      event.preventDefault();
      const field = saved.querySelector("input");
      const name = field.value.trim();
      if (!name) return;
      const query = new URLSearchParams(location.search);
      query.delete("before");
      [...query].filter(([, value]) => !value).forEach(([key]) => query.delete(key));
      const others = savedSearches().filter((one) => one.name !== name);
      keepSearches([...others, { name, query: query.toString() }]);
      field.value = "";
      field.blur();
    });
  }

  // media are blurred until asked for, each time; without colours for as long as one wishes
  const GREY = "forewarn-grey";

  function showGrey() {
    const isGrey = localStorage.getItem(GREY) === "on";
    document.body.classList.toggle("grey", isGrey);
    document.querySelectorAll("[data-grey]").forEach((button) => {
      button.setAttribute("aria-pressed", String(isGrey));
    });
  }

  document.addEventListener("click", (event) => {
    const reveal = event.target.closest("[data-reveal]");
    if (reveal) {
      const isClear = reveal.closest(".media").classList.toggle("clear");
      reveal.setAttribute("aria-pressed", String(isClear));
    }
    if (event.target.closest("[data-grey]")) {
      localStorage.setItem(GREY, localStorage.getItem(GREY) === "on" ? "off" : "on");
      showGrey();
    }
  });

  document.addEventListener("htmx:afterSwap", showGrey);
  showGrey();

  // what can be taken back for some seconds only
  document.querySelectorAll("form[data-ends]").forEach((form) => {
    setTimeout(() => form.remove(), Number(form.dataset.ends) * 1000);
  });
  document.body.classList.toggle("no-keys", !keysAct());

  document.addEventListener("htmx:sendError", (event) => {
    const isAskedAgain = event.detail.elt.matches("[hx-trigger*=every], [data-renew]");
    const line = document.createElement("p");
    line.className = "message bad";
    line.textContent = isAskedAgain
      ? "The console does not answer. It is asked again by itself."
      : "The console does not answer, so nobody knows whether this was kept. Load the page again.";
    document.getElementById("messages").replaceChildren(line);
  });
})();
