// What a class looks like wherever it is shown: a colour, and a mark that says the same without colour.

// Chosen by search: each has a contrast of 3 or more on the light page and on the dark one, and they lie as far
// apart as twelve can for people with any kind of colour blindness (Machado 2009, distances in Oklab; the first
// four the farthest, then the first eight). No grey is among them: grey is what has no class.
const PALETTE = [
  "#ad403a", "#1ba80d", "#6555be", "#ce60f0", "#4d80c0", "#fc4190",
  "#0a7661", "#9c3e92", "#a06a03", "#0a94ff", "#9c4be7", "#c64fad",
];

// Paths in a square from -1 to 1. Eleven, so that classes which share a colour differ in their marks.
const DISC = "M1 0A1 1 0 1 1-1 0A1 1 0 1 1 1 0Z";
const CROSS =
  "M-.55-1.05L0-.5.55-1.05 1.05-.55.5 0 1.05.55.55 1.05 0 .5-.55 1.05-1.05.55-.5 0-1.05-.55Z";
const MARKS = [
  DISC,
  "M0-1.1L1.05.75H-1.05Z", // triangle
  "M-.88-.88H.88V.88H-.88Z", // square
  "M0-1.2L1.2 0L0 1.2L-1.2 0Z", // diamond
  "M-.4-1.1H.4V-.4H1.1V.4H.4V1.1H-.4V.4H-1.1V-.4H-.4Z", // plus
  "M0 1.1L1.05-.75H-1.05Z", // triangle on its tip
  "M0-1.25L.36-.42 1.2-.38.55.18.76 1 0 .52-.76 1-.55.18-1.2-.38-.36-.42Z", // star
  "M-1.15-.55H1.15V.55H-1.15Z", // bar
  "M-.9-1.1H.9L0 0ZM-.9 1.1H.9L0 0Z", // hourglass
  "M-.55-1.15H.55V1.15H-.55Z", // pillar
  "M0-1.1L1.05-.3.65.95H-.65L-1.05-.3Z", // pentagon
];

function classColour(aClass) {
  return aClass.colour || PALETTE[(aClass.position ?? 0) % PALETTE.length];
}

function classMark(aClass) {
  return MARKS[(aClass.position ?? 0) % MARKS.length];
}

// Black or white, whichever is easier to read on a colour (#rrggbb).
function inkOn(colour) {
  const light = luminance(colour);
  return 1.05 / (light + 0.05) >= (light + 0.05) / 0.05 ? "#ffffff" : "#000000";
}

// WCAG's relative luminance of #rrggbb, 0 to 1.
function luminance(colour) {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const part = parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
