// What lies over the map's points: images where there is room, the ring around the one that is pointed at, the lasso,
// and what is said of an image while it is pointed at.

// Draws all of it. theme: { paper, field, text, primary }, CSS colours; measures are CSS pixels.
function drawMapFront(canvas, ratio, theme, { images, side, ring, lines, aimed }) {
  const pen = canvas.getContext("2d");
  const [width, height] = [canvas.width / ratio, canvas.height / ratio];
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  for (const image of images) drawMapImage(pen, theme, side, image);
  if (ring) {
    pen.beginPath();
    if (ring.square) pen.rect(ring.x - ring.radius, ring.y - ring.radius, 2 * ring.radius, 2 * ring.radius);
    else pen.arc(ring.x, ring.y, ring.radius, 0, 7);
    strokeTwice(pen, theme.paper, theme.text);
  }
  for (const line of lines) {
    pen.beginPath();
    for (const [x, y] of line) pen.lineTo(x, y);
    pen.closePath();
    pen.globalAlpha = 0.1;
    pen.fillStyle = theme.primary;
    pen.fill("evenodd"); // as what is inside is decided
    pen.globalAlpha = 1;
    strokeTwice(pen, theme.paper, theme.primary);
  }
  if (aimed) {
    pen.beginPath();
    for (const [across, down] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      pen.moveTo(width / 2 + across * 6, height / 2 + down * 6);
      pen.lineTo(width / 2 + across * 14, height / 2 + down * 14);
    }
    strokeTwice(pen, theme.paper, theme.text);
  }
}

function drawMapImage(pen, theme, side, { x, y, bitmap, look, dim }) {
  const [left, top] = [x - side / 2, y - side / 2];
  pen.save();
  pen.globalAlpha = dim ? 0.2 : 1;
  pen.fillStyle = theme.field;
  pen.fillRect(left, top, side, side);
  if (bitmap) pen.drawImage(bitmap, left, top, side, side);
  pen.lineWidth = 3;
  pen.strokeStyle = look.colour;
  if (look.hollow || look.faint) pen.setLineDash([4, 3]);
  pen.strokeRect(left, top, side, side);
  pen.setLineDash([]);
  pen.translate(left + 7, top + 7);
  pen.fillStyle = theme.paper;
  pen.fillRect(-8.5, -8.5, 17, 17);
  pen.fillStyle = look.colour;
  inked(pen, look.path, look.hollow ? 4 : 5.5, look.hollow ? 1.6 : 0);
  pen.restore();
}

// A line that can be seen on anything.
function strokeTwice(pen, around, colour) {
  for (const [style, width] of [[around, 5], [colour, 2]]) {
    pen.strokeStyle = style;
    pen.lineWidth = width;
    pen.stroke();
  }
}

// The small card beside the image that is pointed at.
function makeMapTip(texts) {
  const image = element("img", { alt: "" });
  const mark = element("span", { className: "map-tip-mark" });
  const name = element("strong"), file = element("span", { className: "map-tip-file" });
  const card = element("div", { className: "map-tip", hidden: true, role: "status" },
    image, element("span", { className: "map-tip-class" }, mark, name), file);

  // about: null, or { x, y, look, item (undefined while unknown), width, height } of the map, in CSS pixels.
  function show(about) {
    card.hidden = !about;
    if (!about) return;
    const { x, y, look, item, width, height } = about;
    if (name.textContent !== look.name) {
      name.textContent = look.name;
      mark.replaceChildren(markOf(look));
    }
    const file_name = item?.name ?? (item === null ? texts.gone : "…");
    if (file.textContent !== file_name) file.textContent = file_name;
    const address = item ? mapThumbnail(item) : "";
    image.hidden = !address;
    if (address && image.getAttribute("src") !== address) image.src = address;
    const right = x < width / 2, below = y < height / 2;
    Object.assign(card.style, {
      left: right ? `${x + 16}px` : "", right: right ? "" : `${width - x + 16}px`,
      top: below ? `${y + 12}px` : "", bottom: below ? "" : `${height - y + 12}px`,
    });
  }

  return { element: card, show };
}
