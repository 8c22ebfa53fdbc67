// What a person would see as broken: text over other text, a page wider than its window.
() => {
  const clip = (rect, element) => {
    let { left, right, top, bottom } = rect;
    for (let at = element; at && at !== document.documentElement; at = at.parentElement) {
      const style = getComputedStyle(at);
      if (style.overflowX !== "visible" || style.overflowY !== "visible") {
        const box = at.getBoundingClientRect();
        left = Math.max(left, box.left); right = Math.min(right, box.right);
        top = Math.max(top, box.top); bottom = Math.min(bottom, box.bottom);
      }
    }
    return right - left > 1 && bottom - top > 1 ? { left, right, top, bottom } : null;
  };
  const lines = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    const visible = element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
    if (!node.data.trim() || !visible || element.closest("svg")) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const rect of range.getClientRects()) {
      const seen = clip(rect, element);
      if (seen) lines.push({ ...seen, node, text: node.data.trim().slice(0, 40) });
    }
  }
  lines.sort((a, b) => a.top - b.top);
  const overlaps = [];
  lines.forEach((one, place) => {
    for (let next = place + 1; next < lines.length && lines[next].top < one.bottom - 4; next++) {
      const other = lines[next];
      const across = Math.min(one.right, other.right) - Math.max(one.left, other.left);
      const down = Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top);
      if (one.node !== other.node && across > 2 && down > 4) overlaps.push(`${one.text} | ${other.text}`);
    }
  });
  const root = document.documentElement;
  const sticksOut = (element) => {
    const seen = clip(element.getBoundingClientRect(), element.parentElement);
    return seen && seen.right > root.clientWidth + 1;
  };
  const wide = root.scrollWidth > root.clientWidth
    ? [...document.body.querySelectorAll("*")].filter(sticksOut).map((element) => element.outerHTML.slice(0, 120))
    : [];
  if (root.scrollWidth > root.clientWidth) wide.push(`${root.scrollWidth} of ${root.clientWidth}`);
  return { lines: lines.length, overlaps: overlaps.slice(0, 8), wide: wide.slice(-6) };
}
