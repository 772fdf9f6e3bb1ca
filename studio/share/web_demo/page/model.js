// The model: running in this browser on LiteRT.js, or asked at a server by browsers that cannot run it.
import { embeddedBytes, fetchBytes } from "demo/binary_data.js";
import { fileOf, pixelsOf } from "demo/image_decoding.js";

/** @import { DecodedImage, Model, PageConfig } from "./types.js" */

const BUILD = "litert_wasm_compat_internal"; // the one that every browser with WebAssembly's SIMD can run

/**
 * Load the model into this browser.
 * @param {PageConfig & { model: { address: string, size_bytes: number } }} config
 * @param {(done: number) => void} onProgress
 * @returns {Promise<Model>}
 */
export async function loadModel({ model, runtime, preprocessing }, onProgress) {
  const { loadLiteRt, loadAndCompile, Tensor } = await import("@litertjs/core");
  const [bytes] = await Promise.all([
    embeddedBytes("model").then((inside) => inside ?? fetchBytes(model.address, model.size_bytes, onProgress)),
    runtimeScript(runtime).then(loadLiteRt),
  ]);
  const network = await loadAndCompile(bytes, { accelerator: "wasm" });
  const { width_px: width, height_px: height } = preprocessing;
  /** @param {DecodedImage} image */
  const predict = async (image) => {
    const input = new Tensor(pixelsOf(image, preprocessing), [1, height, width, 3]);
    const outputs = await network.run(input);
    try {
      const [probabilities, oodScores] = await Promise.all(outputs.map((output) => output.data()));
      return { probabilities: Array.from(probabilities), oodScore: oodScores?.[0] ?? null };
    } finally {
      input.delete();
      outputs.forEach((output) => { output.delete(); });
    }
  };
  return { predict, runsHere: true };
}

/**
 * Return the model at a server, to which images are posted.
 * @param {string} address
 * @returns {Model}
 */
export function remoteModel(address) {
  /** @param {DecodedImage} image */
  const predict = async (image) => {
    const body = await fileOf(image);
    const response = await fetch(address, { method: "POST", body, headers: { "Content-Type": body.type } });
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) throw new Error(answer.error ?? `${response.status}`);
    return { probabilities: answer.probabilities, oodScore: answer.strangeness ?? null };
  };
  return { predict, runsHere: false };
}

/**
 * Return the address of the runtime's own script: where it is served, or one of the page's own copy, and then its
 * WebAssembly is handed to it.
 * @param {string} runtime
 */
async function runtimeScript(runtime) {
  const script = await embeddedBytes("script");
  if (!script) return `${runtime}wasm/${BUILD}.js`;
  Object.assign(globalThis, { Module: { wasmBinary: await embeddedBytes("wasm") } });
  // The runtime takes an address that ends otherwise for a folder.
  return `${URL.createObjectURL(new Blob([script], { type: "text/javascript" }))}#.js`;
}
