// What the page uses of LiteRT.js, which is fetched when a page is exported: see studio/share/web_demo/runtime.py.

export class Tensor {
  constructor(data: Uint8Array, shape: number[]);
  data(): Promise<Float32Array>;
  delete(): void;
}

export interface CompiledModel {
  run(input: Tensor): Promise<Tensor[]>;
}

export function loadLiteRt(address: string): Promise<unknown>;
export function loadAndCompile(model: Uint8Array, options: { accelerator: "wasm" }): Promise<CompiledModel>;
