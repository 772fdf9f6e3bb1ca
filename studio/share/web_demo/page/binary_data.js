// Binary data that stands in the page itself or is fetched with progress.

/**
 * Return bytes that stand in the page, gzipped, in pieces of base 64; null where it has none of that name.
 * @param {string} name
 */
export async function embeddedBytes(name) {
  const elements = [...document.querySelectorAll(`script[data-inside="${name}"]`)];
  if (!elements.length) return null;
  const pieces = elements.map((element) => {
    const text = atob(element.textContent ?? "");
    const piece = new Uint8Array(text.length);
    for (let at = 0; at < text.length; at++) piece[at] = text.charCodeAt(at);
    element.remove(); // or the page would hold them twice
    return piece;
  });
  const unpacked = new Blob(pieces).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(unpacked).arrayBuffer());
}

/**
 * Fetch the bytes at an address.
 * @param {string} address
 * @param {number} size
 * @param {(done: number) => void} onProgress  called with the number of bytes that have come
 */
export async function fetchBytes(address, size, onProgress) {
  const response = await fetch(address);
  if (!response.ok || !response.body) throw new Error(`${address}: ${response.status}`);
  const bytes = new Uint8Array(size);
  let done = 0;
  for (const reader = response.body.getReader(); ;) {
    const { value, done: ended } = await reader.read();
    if (ended) break;
    if (done + value.length > size) throw new Error(`${address}: expected ${size} bytes, more came`);
    bytes.set(value, done);
    done += value.length;
    onProgress(done);
  }
  if (done !== size) throw new Error(`${address}: expected ${size} bytes, ${done} came`);
  return bytes;
}
