"use strict";
// Narrows and sorts the cards. Their text is in the page: without this script all are shown.
(() => {
  const list = document.getElementById("cards");
  const cards = [...list.children];
  const search = document.getElementById("search");
  const kind = document.getElementById("kind");
  const order = document.getElementById("order");
  const shown = document.getElementById("shown");
  const narrow = () => {
    const words = search.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const card of cards) {
      const text = card.dataset.text;
      // A number is the code itself; other words are looked for in the text.
      const fits = words.every((word) => /^\d+$/.test(word) ? card.dataset.code === word : text.includes(word));
      card.hidden = !(fits && (!kind.value || card.dataset.kind === kind.value));
      count += card.hidden ? 0 : 1;
    }
    shown.textContent = `${count} of ${cards.length} codes`;
  };
  const sort = () => {
    const name = order.value;
    const key = (card) => Number(card.dataset[name]);
    cards.sort((a, b) => (name === "count" ? key(b) - key(a) : key(a) - key(b)) || a.dataset.code - b.dataset.code);
    list.append(...cards);
  };
  search.addEventListener("input", narrow);
  kind.addEventListener("change", narrow);
  order.addEventListener("change", sort);
  // A link to a card that is hidden would lead nowhere.
  addEventListener("hashchange", () => { if (location.hash) { search.value = ""; kind.value = ""; narrow(); document.querySelector(location.hash)?.scrollIntoView(); } });
  document.getElementById("controls").hidden = false;
  narrow();
})();
