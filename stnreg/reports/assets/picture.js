// Pictures that carry numbers: their pixels, and volumes whose slices lie side by side.

// Red, green, blue and opacity of each pixel, in rows from above.
async function pixelsOf(source) {
  const picture = new Image();
  picture.src = source;
  await picture.decode();
  const canvas = document.createElement("canvas");
  canvas.width = picture.width;
  canvas.height = picture.height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(picture, 0, 0);
  return { pixels: context.getImageData(0, 0, canvas.width, canvas.height).data, width: canvas.width, height: canvas.height };
}

// The voxels of a volume, `tiles` slices a row; a picture holds up to three channels.
async function unpack(source, [nx, ny, nz] = DATA.size, tiles = DATA.tiles, channels = 1) {
  const { pixels, width } = await pixelsOf(source);
  const voxels = new Uint8Array(channels * nx * ny * nz);
  for (let z = 0; z < nz; z++) {
    const left = (z % tiles) * nx, top = Math.floor(z / tiles) * ny;
    for (let y = 0; y < ny; y++)
      for (let x = 0; x < nx; x++)
        for (let k = 0; k < channels; k++)
          voxels[((z * ny + y) * nx + x) * channels + k] = pixels[4 * ((top + y) * width + left + x) + k];
  }
  return voxels;
}
