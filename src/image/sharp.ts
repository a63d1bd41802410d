import sharp from "sharp";

// Images are decoded side by side, each on one thread, beside ONNX Runtime, which wants the cores; no image comes twice.
sharp.concurrency(1);
sharp.cache(false);
// Parsers of formats that are not read are not reachable, whatever the bytes pretend to be.
sharp.block({ operation: ["VipsForeignLoad"] });
sharp.unblock({
  operation: ["Jpeg", "Png", "Webp", "Nsgif", "Heif", "Tiff"].map((format) => `VipsForeignLoad${format}`),
});

export { sharp };
