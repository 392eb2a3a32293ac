"use strict";
// What the page does: details of the token pointed at, keys to move through tokens, and a search in the vocabulary.
// Text becomes text nodes only, never HTML.
(function () {
  const PAGE_SIZE = 200;
  const details = document.getElementById("details");
  const utf8 = new TextEncoder();
  const tokenizers = JSON.parse(document.getElementById("data").textContent).map(function (given) {
    const byId = new Map(given.rows.map((row) => [row[0], row]));
    return { name: given.name, rows: given.rows, byId: byId, special: new Set(given.special) };
  });
  let kept = false;

  function element(tag, text, className) {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  function bytesOf(row) {
    return typeof row[1] === "string" ? utf8.encode(row[1]) : Uint8Array.from(row[1]);
  }

  // The inverse of UTF-8 where it has one; \x.. for other bytes and for what cannot be seen.
  function spell(row) {
    if (typeof row[1] !== "string") {
      return row[1].map((byte) => (byte > 0x20 && byte < 0x7f ? String.fromCharCode(byte) : escaped(byte))).join("");
    }
    return row[1].replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (char) => escaped(char.codePointAt(0))).replaceAll(" ", "␣");
  }

  function escaped(code) {
    if (code === 10) return "⏎";
    if (code === 9) return "→";
    return code < 0x100 ? "\\x" + code.toString(16).padStart(2, "0") : "\\u{" + code.toString(16) + "}";
  }

  function origin(tokenizer, row) {
    if (tokenizer.special.has(row[0])) return "special token";
    if (row.length > 2) return "merge " + row[2].toLocaleString("en");
    return bytesOf(row).length === 1 ? "a single byte" : "not made by a merge";
  }

  // A tree of lists, so that a screen reader says how deep a part is.
  function tree(tokenizer, row) {
    const item = element("li", spell(row) + " ");
    item.append(element("small", "id " + row[0] + ", " + origin(tokenizer, row)));
    if (row.length > 2) {
      const parts = element("ul");
      for (const id of row.slice(3)) parts.append(tree(tokenizer, tokenizer.byId.get(id)));
      item.append(parts);
    }
    return item;
  }

  function show(index, id) {
    const tokenizer = tokenizers[index];
    const row = tokenizer.byId.get(id);
    const bytes = bytesOf(row);
    const facts = element("dl");
    const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
    for (const [name, value] of [
      ["id", String(id)], ["bytes", hex + " (" + bytes.length + ")"], ["rank", origin(tokenizer, row)],
      ["of", tokenizer.name],
    ]) {
      facts.append(element("dt", name), element("dd", value));
    }
    const root = element("ul");
    root.append(tree(tokenizer, row));
    details.replaceChildren(element("h3", spell(row)), facts, root);
  }

  function mark(token) {
    for (const other of document.querySelectorAll(".token.shown, .token.same")) other.classList.remove("shown", "same");
    if (!token) return;
    token.classList.add("shown");
    const start = Number(token.dataset.start), end = Number(token.dataset.end);
    for (const text of texts) {
      if (text.contains(token)) continue;
      // Tokens stand in the order of their spans: the first that ends after the start, by halving.
      let low = 0, high = text.children.length;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (Number(text.children[middle].dataset.end) <= start) low = middle + 1; else high = middle;
      }
      for (let at = low; at < text.children.length && Number(text.children[at].dataset.start) < end; at++) {
        text.children[at].classList.add("same");
      }
    }
  }

  function point(token) {
    mark(token);
    show(Number(token.parentNode.dataset.panel), Number(token.dataset.id));
  }

  function moveTo(token) {
    if (!token) return;
    token.parentNode.querySelector('[tabindex="0"]').tabIndex = -1;
    token.tabIndex = 0;
    token.focus();
  }

  const texts = Array.from(document.querySelectorAll(".text"));
  for (const text of texts) {
    const tokenAt = (event) => event.target.closest(".token");
    text.addEventListener("pointerover", function (event) {
      if (tokenAt(event) && !kept) point(tokenAt(event));
    });
    text.addEventListener("focusin", function (event) {
      if (tokenAt(event)) { kept = false; point(tokenAt(event)); }
    });
    text.addEventListener("click", function (event) {
      if (tokenAt(event)) { moveTo(tokenAt(event)); kept = true; }
    });
    text.addEventListener("keydown", function (event) {
      const token = tokenAt(event);
      if (!token) return;
      if (event.key === "Enter" || event.key === " ") { kept = !kept; event.preventDefault(); return; }
      const backwards = getComputedStyle(text).direction === "rtl" ? "ArrowRight" : "ArrowLeft";
      const next = {
        ArrowLeft: token.previousElementSibling, ArrowRight: token.nextElementSibling,
        Home: text.firstElementChild, End: text.lastElementChild,
      };
      if (backwards === "ArrowRight") [next.ArrowLeft, next.ArrowRight] = [next.ArrowRight, next.ArrowLeft];
      if (event.key in next) { moveTo(next[event.key]); event.preventDefault(); }
    });
  }
  document.addEventListener("keydown", function (event) {
    if (event.key === "Escape") kept = false;
  });

  // ---------------------------------------------------------------------------------- vocabulary

  const which = document.getElementById("which"), query = document.getElementById("query");
  const order = document.getElementById("order"), entries = document.getElementById("entries");
  const more = document.getElementById("more");
  let found = [], nShown = 0;

  function matches(tokenizer, wanted) {
    if (!wanted) return tokenizer.rows;
    const spelled = wanted.replaceAll(" ", "␣");
    const isEscape = wanted.includes("\\");
    const exact = /^\d+$/.test(wanted) ? tokenizer.byId.get(Number(wanted)) : undefined;
    const rows = tokenizer.rows.filter(function (row) {
      if (row === exact) return false;
      return typeof row[1] === "string" && !isEscape ? row[1].includes(wanted) : spell(row).includes(spelled);
    });
    return exact ? [exact, ...rows] : rows;
  }

  function search() {
    const tokenizer = tokenizers[Number(which.value)];
    found = matches(tokenizer, query.value);
    if (order.value === "length") {
      const lengths = new Map(found.map((row) => [row, bytesOf(row).length]));
      found = found.slice().sort((a, b) => lengths.get(b) - lengths.get(a));
    }
    document.getElementById("found").textContent =
      found.length.toLocaleString("en") + " of " + tokenizer.rows.length.toLocaleString("en") + " tokens";
    entries.replaceChildren();
    nShown = 0;
    showMore();
  }

  function showMore() {
    const made = found.slice(nShown, nShown + PAGE_SIZE).map(function (row) {
      const item = element("li"), button = element("button", spell(row) + " ");
      button.type = "button";
      button.append(element("small", String(row[0])));
      const look = () => { mark(null); show(Number(which.value), row[0]); };
      button.addEventListener("pointerenter", () => { if (!kept) look(); });
      button.addEventListener("focus", look);
      button.addEventListener("click", look);
      item.append(button);
      return item;
    });
    entries.append(...made);
    nShown += made.length;
    more.hidden = nShown >= found.length;
  }

  which.parentNode.hidden = tokenizers.length === 1;
  let waiting = 0;
  query.addEventListener("input", function () { clearTimeout(waiting); waiting = setTimeout(search, 100); });
  which.addEventListener("change", search);
  order.addEventListener("change", search);
  more.addEventListener("click", showMore);
  document.getElementById("search").addEventListener("submit", (event) => { event.preventDefault(); search(); });
  document.getElementById("vocabulary").hidden = false;
  search();
})();
