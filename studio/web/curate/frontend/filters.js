// What is looked at: a filter and an order. They stand in the page's address, so that a link or a reload comes back.
const FILTER_NAMES = [
  "state", "class", "suggested", "source", "licence", "split", "found", "copies", "from", "to", "text", "clash",
  // A run's test images: of a true class, taken for another, or wrong; or what changed since another run.
  "run", "true", "predicted", "wrong", "since", "changed",
];
const RUN_NAMES = ["run", "true", "predicted", "wrong", "since", "changed"];
const ORDERS = ["newest", "oldest", "next", "uncertain", "doubtful", "suggestion", "spread", "strongest", "group"];

// What the studio finds: each is a filter and an order at once. The sign says the same as the words, in one letter.
const FINDS = [
  { name: "suggestion", sign: "?", filter: { found: "suggestion" }, order: "suggestion" },
  { name: "next", sign: "→", filter: { found: "next" }, order: "next" },
  { name: "doubtful", sign: "!", filter: { found: "doubtful" }, order: "doubtful" },
  { name: "clash", sign: "⚠", filter: { clash: "1" }, order: "newest" },
  { name: "copies", sign: "≈", filter: { copies: "1" }, order: "group" },
  ...["blurred", "dark", "blank", "small", "shape", "far"].map((name) => (
    { name, sign: "·", filter: { found: name }, order: "strongest" })),
];

// A look is { filter, order, like (an image's id, where the order is alike), at (an image's id) }.
function lookOfAddress() {
  const query = new URLSearchParams(location.search);
  const given = FILTER_NAMES.filter((name) => query.get(name));
  const filter = Object.fromEntries(given.map((name) => [name, query.get(name)]));
  const like = Number(query.get("like")) || 0;
  const order = query.get("order");
  return {
    filter,
    like: order === "alike" ? like : 0,
    order: order === "alike" && like ? order : ORDERS.includes(order) ? order : "newest",
    at: Number(query.get("at")) || 0,
  };
}

// Writes a look into the page's address beside what else stands there. push: as a step that the back button undoes.
function writeAddress({ filter, order, like, at }, push = false) {
  const address = new URL(location.href);
  const query = { ...filter, order: order === "newest" ? "" : order, like: like || "", at: at || "" };
  for (const name of [...FILTER_NAMES, "order", "like", "at"]) {
    if (query[name]) address.searchParams.set(name, query[name]);
    else address.searchParams.delete(name);
  }
  if (address.href === location.href) return;
  if (push) history.pushState(history.state, "", address);
  else history.replaceState(history.state, "", address);
}

function walkAddress(base, { filter, order, like }, cursor, limit) {
  const query = new URLSearchParams({ ...filter, order, limit });
  if (order === "alike") query.set("like", like);
  if (cursor) query.set("after", cursor);
  return `${base}/walk?${query}`;
}

function sameFilter(one, other) {
  return FILTER_NAMES.every((name) => (one[name] ?? "") === (other[name] ?? ""));
}

// Whether an image that is this now would be found by a look; decided: somebody has decided about it since.
function staysIn({ filter, order }, target, decided) {
  if (filter.state && target.state !== filter.state) return false;
  if (filter.class && !(target.state === "labelled" && `${target.class}` === filter.class)) return false;
  const ofWorth = filter.copies || ["blurred", "dark", "blank", "small", "shape", "far"].includes(filter.found);
  if (ofWorth && !filter.state && target.state === "rejected") return false;
  if ((filter.found === "doubtful" || filter.clash || order === "doubtful") && decided) return false;
  const ofUnlabelled = ["suggestion", "next", "uncertain"];
  const unlabelledOnly = filter.suggested || ofUnlabelled.includes(filter.found) || ofUnlabelled.includes(order);
  return !(unlabelledOnly && decided && target.state !== "unlabelled");
}
