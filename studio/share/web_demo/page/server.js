// The model, asked at a server: for browsers that cannot run it.
import { fileOf } from "demo/picture.js";

export function openServer(address) {
  const answer = async (image) => {
    const body = await fileOf(image);
    const reply = await fetch(address, { method: "POST", body, headers: { "Content-Type": body.type } });
    const said = await reply.json().catch(() => ({}));
    if (!reply.ok) throw new Error(said.error ?? `${reply.status}`);
    return { probabilities: said.probabilities, strangeness: said.strangeness ?? null };
  };
  return { answer, here: false };
}
