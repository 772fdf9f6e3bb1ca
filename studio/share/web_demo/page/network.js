// The model, running in this browser on LiteRT.js.
import { embedded, fetched } from "demo/bytes.js";
import { pixelsOf } from "demo/picture.js";

const BUILD = "litert_wasm_compat_internal"; // the one that every browser with WebAssembly's SIMD can run

export async function openNetwork({ model, runtime, preprocessing }, told) {
  const { loadLiteRt, loadAndCompile, Tensor } = await import("@litertjs/core");
  const [bytes] = await Promise.all([
    embedded("model").then((inside) => inside ?? fetched(model.address, model.size_bytes, told)),
    glue(runtime).then(loadLiteRt),
  ]);
  const network = await loadAndCompile(bytes, { accelerator: "wasm" });
  const { width_px: width, height_px: height } = preprocessing;
  const answer = async (image) => {
    const input = new Tensor(pixelsOf(image, preprocessing), [1, height, width, 3]);
    const outputs = await network.run(input);
    try {
      const [probabilities, strangeness] = await Promise.all(outputs.map((output) => output.data()));
      return { probabilities: Array.from(probabilities), strangeness: strangeness?.[0] ?? null };
    } finally {
      input.delete();
      outputs.forEach((output) => output.delete());
    }
  };
  return { answer, here: true };
}

// Where the runtime's own script is: at an address, or in the page, and then its WebAssembly is handed to it.
async function glue(runtime) {
  const script = await embedded("script");
  if (!script) return `${runtime}wasm/${BUILD}.js`;
  self.Module = { wasmBinary: await embedded("wasm") };
  // The runtime takes an address that ends otherwise for a folder.
  return `${URL.createObjectURL(new Blob([script], { type: "text/javascript" }))}#.js`;
}
