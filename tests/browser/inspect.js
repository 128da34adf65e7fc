// What a reader would see wrong with the page that is open: a list of sentences.
(async () => {
  const faults = [];
  const SPREAD = 4;

  // Standard deviation of the brightness (0 to 255) of what a source shows.
  function spread(source, width, height) {
    const canvas = document.createElement("canvas");
    canvas.width = Math.min(400, width);
    canvas.height = Math.max(1, Math.round((canvas.width * height) / width));
    const pen = canvas.getContext("2d", { willReadFrequently: true });
    pen.fillStyle = "white";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(source, 0, 0, canvas.width, canvas.height);
    const data = pen.getImageData(0, 0, canvas.width, canvas.height).data;
    let sum = 0, squares = 0;
    for (let i = 0; i < data.length; i += 4) {
      const value = (data[i] + data[i + 1] + data[i + 2]) / 3;
      sum += value;
      squares += value * value;
    }
    const mean = (4 * sum) / data.length;
    return Math.sqrt((4 * squares) / data.length - mean * mean);
  }

  for (const image of document.images) {
    const name = `picture "${image.alt.slice(0, 40)}"`;
    try {
      await image.decode();
    } catch {
      faults.push(`${name} is broken`);
      continue;
    }
    if (!(image.naturalWidth > 0 && image.naturalHeight > 0)) faults.push(`${name} has no size`);
    else if (!(spread(image, image.naturalWidth, image.naturalHeight) > SPREAD)) faults.push(`${name} is blank`);
  }
  for (const canvas of document.querySelectorAll("canvas")) {
    if (!(spread(canvas, canvas.width, canvas.height) > SPREAD)) faults.push(`canvas "${canvas.ariaLabel}" is blank`);
  }
  for (const light of document.querySelectorAll(".light")) {
    const shown = getComputedStyle(light).borderLeftColor !== getComputedStyle(document.body).color;
    if (!shown || !light.querySelector(".sign")?.textContent.trim()) faults.push(`light without colour or sign: ${light.textContent.trim()}`);
  }
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) faults.push(`the page is ${root.scrollWidth} wide on a screen of ${root.clientWidth}`);
  return faults;
})()
