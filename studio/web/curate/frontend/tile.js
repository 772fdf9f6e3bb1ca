// One image of the grid. Tiles are used again for other images as people scroll; what a tile shows is drawn only
// where it has changed. Nothing is said by colour alone.

class Tile {
  constructor(texts) {
    this.texts = texts;
    this.chip = element("span", { className: "chip" });
    this.badges = element("span", { className: "badges" });
    this.cross = element("span", { className: "cross" }, "✕");
    this.tick = element("span", { className: "tick" }, "✓");
    this.element = element("div", { className: "tile", role: "option" },
      this.cross, this.badges, this.tick, this.chip);
    this.image = null;
    this.sha = this.drawn = this.place = "";
  }

  // Where it stands: its place in the grid, of `count`, and in pixels.
  put(at, count, x, y, side) {
    const place = `${at} ${count} ${x} ${y} ${side}`;
    if (place === this.place) return;
    this.place = place;
    this.element.id = tileId(at);
    this.element.style.cssText = `transform: translate(${x}px, ${y}px); width: ${side}px; height: ${side}px`;
    this.element.setAttribute("aria-posinset", at + 1);
    this.element.setAttribute("aria-setsize", count);
  }

  // facts: as Curating.facts gives them; isSeen: not only in the margin around what is.
  draw(facts, isSeen) {
    const drawn = JSON.stringify(facts);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    this.image(facts.sha ?? "", isSeen);
    const { classList } = this.element;
    for (const name of ["focus", "selected", "rejected", "suggested", "moved", "clashed", "gone"]) {
      classList.toggle(name, Boolean(facts[name]));
    }
    this.element.setAttribute("aria-selected", facts.selected);
    this.element.setAttribute("aria-label", this.said(facts));
    this.element.title = facts.name ?? "";
    this.element.dataset.id = facts.id;
    this.element.dataset.state = facts.state ?? "";
    this.drawChip(facts);
    this.badges.replaceChildren(...this.marks(facts).map(([sign, kind, title]) => (
      element("span", { className: `badge ${kind}`, title }, sign))));
  }

  // An image element of its own for each image: one that is given another address shows the old image meanwhile.
  image(sha, isSeen = false) {
    if (sha === this.sha) return;
    this.sha = sha;
    this.image?.removeAttribute("src"); // gives up what is still loading
    this.image?.remove();
    this.image = null;
    if (!sha) return;
    this.image = element("img", { decoding: "async", draggable: false, alt: "" });
    this.image.fetchPriority = isSeen ? "high" : "low";
    this.image.src = thumbnailAddress(sha);
    this.image.onerror = () => this.element.classList.add("lost");
    this.element.classList.remove("lost");
    this.element.prepend(this.image);
  }

  drawChip({ label, state, suggestion, doubt }) {
    const parts = [];
    if (state === "labelled" && label) {
      parts.push(markOf(label), element("span", {}, doubt ? `${label.name} → ${doubt}?` : label.name));
    }
    if (state === "rejected") parts.push(element("span", {}, this.texts.rejected));
    else if (suggestion) {
      parts.push(element("span", {}, `? ${suggestion.name}`));
      parts.push(element("span", { className: "percent" }, suggestion.share));
    }
    this.chip.replaceChildren(...parts);
  }

  marks({ doubt, clash, copy, odd, moved }) {
    const { texts } = this;
    return [
      clash && ["⚠", "clash", filled(texts.clash, { name: clash })],
      doubt && ["!", "doubt", filled(texts.doubt, { name: doubt })],
      copy && [copy === "keeper" ? "★" : "≈", "copy", texts[copy]],
      odd?.length && ["·", "odd", odd.join(", ")],
      moved && ["↷", "moved", texts.moved],
    ].filter(Boolean);
  }

  // What a screen reader says.
  said({ name, state, label, suggestion, gone, ...facts }) {
    const { texts } = this;
    if (gone) return texts.gone;
    if (name === undefined) return texts.loading;
    return [
      name,
      state === "labelled" ? label?.name : texts[state],
      suggestion && filled(texts.suggestion, { name: suggestion.name, share: suggestion.share }),
      ...this.marks(facts).map(([, , title]) => title),
    ].filter(Boolean).join(", ");
  }
}

function tileId(at) {
  return `image-${at}`;
}

function thumbnailAddress(sha) {
  return `/studio/thumbnails/${sha}.jpg`;
}
