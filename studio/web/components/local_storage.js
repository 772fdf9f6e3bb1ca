// The browser's storage, which may be full or forbidden: then values hold until the page is left.

/**
 * Store a text; return whether it was stored.
 * @param {string} key
 * @param {string} text
 */
export function writeStored(key, text) {
  try {
    localStorage.setItem(key, text);
    return true;
  } catch {
    return false;
  }
}

/** @param {string} key */
export function readStored(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/** @param {string} key */
export function removeStored(key) {
  try {
    localStorage.removeItem(key);
  } catch { /* it was never stored */ }
}

/**
 * Return the keys that begin with a prefix, in ascending order.
 * @param {string} prefix
 */
export function storedKeys(prefix) {
  try {
    return Object.keys(localStorage).filter((key) => key.startsWith(prefix)).sort();
  } catch {
    return [];
  }
}
