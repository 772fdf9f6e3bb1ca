// Bytes that stand in the page itself, gzipped, in pieces of base 64; null where it has none of that name.
export async function embedded(name) {
  const elements = [...document.querySelectorAll(`script[data-inside="${name}"]`)];
  if (!elements.length) return null;
  const pieces = elements.map((element) => {
    const text = atob(element.textContent);
    const piece = new Uint8Array(text.length);
    for (let at = 0; at < text.length; at++) piece[at] = text.charCodeAt(at);
    element.remove(); // or the page would hold them twice
    return piece;
  });
  const unpacked = new Blob(pieces).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(unpacked).arrayBuffer());
}

// The bytes at an address; told(done) hears how many have come.
export async function fetched(address, size, told) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
  const bytes = new Uint8Array(size);
  let done = 0;
  for (const reader = answer.body.getReader(); ;) {
    const { value, done: ended } = await reader.read();
    if (ended) break;
    if (done + value.length > size) throw new Error(`${address}: expected ${size} bytes, more came`);
    bytes.set(value, done);
    told((done += value.length));
  }
  if (done !== size) throw new Error(`${address}: expected ${size} bytes, ${done} came`);
  return bytes;
}
