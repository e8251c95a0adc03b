// Reads a PNG file of a palette as its numbers, which a browser shows as colours only.

const CHANNELS = { 0: 1, 3: 1 }; // of grey and palette

function chunks(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found = { data: [] };
  for (let at = 8; at + 8 <= bytes.length; ) {
    const length = view.getUint32(at);
    const name = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const body = bytes.subarray(at + 8, at + 8 + length);
    if (name === "IHDR") {
      found.width = view.getUint32(at + 8);
      found.height = view.getUint32(at + 12);
      [found.depth, found.kind, , , found.laced] = body.subarray(8);
    } else if (name === "IDAT") found.data.push(body);
    at += length + 12;
  }
  return found;
}

async function inflate(parts) {
  const stream = new Blob(parts).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function paeth(left, up, corner) {
  const guess = left + up - corner;
  const [a, b, c] = [left, up, corner].map((v) => Math.abs(guess - v));
  return a <= b && a <= c ? left : b <= c ? up : corner;
}

// Undoes the filters of the rows, in place; one byte is one pixel or several.
function unfilter(raw, stride, height) {
  let above = new Uint8Array(stride);
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (stride + 1)];
    const row = raw.subarray(y * (stride + 1) + 1, (y + 1) * (stride + 1));
    for (let x = 0; filter && x < stride; x++) {
      const left = x ? row[x - 1] : 0;
      if (filter === 1) row[x] += left;
      else if (filter === 2) row[x] += above[x];
      else if (filter === 3) row[x] += (left + above[x]) >> 1;
      else row[x] += paeth(left, above[x], x ? above[x - 1] : 0);
    }
    above = row;
  }
}

// {width, height, values: one byte a pixel} of the bytes of a file.
export async function numbers(buffer) {
  const { width, height, depth, kind, laced, data } = chunks(new Uint8Array(buffer));
  if (!(kind in CHANNELS) || laced || depth > 8) {
    throw new Error("The server sent a mask that this page cannot read.");
  }
  const stride = Math.ceil((width * depth) / 8);
  const raw = await inflate(data);
  unfilter(raw, stride, height);
  const values = new Uint8Array(width * height);
  const many = 8 / depth; // pixels in a byte
  const most = (1 << depth) - 1;
  for (let y = 0; y < height; y++) {
    const row = raw.subarray(y * (stride + 1) + 1, (y + 1) * (stride + 1));
    if (many === 1) values.set(row, y * width);
    else {
      for (let x = 0; x < width; x++) {
        const shift = depth * (many - 1 - (x % many));
        values[y * width + x] = (row[Math.floor(x / many)] >> shift) & most;
      }
    }
  }
  return { width, height, values };
}
