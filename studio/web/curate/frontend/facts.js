// What a person is to see of one image, as plain values.
const SHOWN_DOUBT = 0.5; // the studio scales doubts so that as many reach this as labels are likely wrong

// What a class looks like: markOf draws it.
function classLook(aClass) {
  return { name: aClass.name, colour: classColour(aClass), path: classMark(aClass) };
}

function factsOf(view, id) {
  const { items, texts, moved } = view;
  const item = items.get(id);
  const target = items.targetOf(id);
  const decided = view.queue.targetOf(id) !== undefined; // by a person here, and on its way
  const facts = { id, name: item?.name, sha: item?.sha, gone: item?.gone, state: target?.state, moved: moved.has(id) };
  if (target?.state === "labelled") facts.label = labelOf(view, target);
  if (target?.state === "rejected") facts.rejected = true;
  if (!item) return facts;
  const suggested = target.state === "unlabelled" && item.suggestion && view.classOf(item.suggestion[0]);
  if (suggested) {
    // Down, so that only what is certain is said to be.
    const share = formatted(Math.floor(item.suggestion[1] * 100) / 100, { style: "percent", maximumFractionDigits: 0 });
    Object.assign(facts, { suggested: true, suggestion: { name: suggested.name, share } });
  }
  const doubt = openDoubt(view, item);
  if (doubt) facts.doubt = doubt.name;
  if (!decided && item.clash) {
    const [state, aClass] = item.clash;
    facts.clash = state === "labelled" ? view.classOf(aClass)?.name ?? "?" : texts.tile[state];
    facts.clashed = true;
  }
  if (item.group !== null && item.group !== undefined) facts.copy = item.keeper ? "keeper" : "copy";
  if (item.odd?.length) facts.odd = item.odd.map((kind) => texts.found[kind] ?? kind);
  return facts;
}

// The class that an image's label might be instead, where it is doubted and nobody has decided since.
function openDoubt(view, item) {
  const open = item.doubt && item.doubt[1] >= SHOWN_DOUBT && view.queue.targetOf(item.id) === undefined;
  return open && item.state === "labelled" ? view.classOf(item.doubt[0]) : undefined;
}

function labelOf(view, target) {
  const aClass = target.name ? view.classNamed(target.name) : view.classOf(target.class);
  if (aClass) return classLook(aClass);
  return target.name ? classLook({ name: target.name, position: view.classes.length }) : null;
}
