"""What keeps a page from being read by everybody, found by a script in the page: headings, names of controls, alt texts, contrast.

Contrast is that of computed colours (WCAG 2: 4.5 for text, 3 for large text and pictures). Left out: what is disabled, and what is painted
on a canvas.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

SCRIPT = r"""
() => {
  const found = [];
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const drawn = e => e.getClientRects().length > 0 && e.checkVisibility({visibilityProperty: true, contentVisibilityAuto: true});

  if (!document.documentElement.lang) found.push('the page names no language');
  const headings = all('[data-testid=stMain] :is(h1, h2, h3, h4, h5, h6)').filter(drawn);
  headings.forEach((heading, place) => {
    const level = Number(heading.tagName[1]), before = place ? Number(headings[place - 1].tagName[1]) : 0;
    if (level > before + 1) found.push(`heading ${level} after ${before}: ${heading.innerText}`);
  });
  for (const image of all('img').filter(drawn)) if (!image.hasAttribute('alt')) found.push(`image without alt: ${image.src}`);
  for (const chart of all('[data-testid=stPlotlyChart], [data-testid=stDataFrame], [data-testid=stTable]').filter(drawn))
    if (!chart.matches('[aria-label]') && !chart.querySelector('[aria-label], [alt]')) found.push(`${chart.dataset.testid} without alt`);

  const named = e => [e.getAttribute('aria-label'), e.getAttribute('title'), e.textContent,
    ...[...(e.labels || [])].map(l => l.textContent),
    ...(e.getAttribute('aria-labelledby') || '').split(' ').map(id => id && document.getElementById(id)?.textContent)].some(t => t?.trim());
  for (const control of all('button, a[href], input, select, textarea, summary, [role=slider], [role=tab]').filter(drawn))
    if (!named(control)) found.push(`control without a name: ${control.outerHTML.slice(0, 120)}`);

  const colour = text => {
    const parts = text.match(/[\d.]+/g)?.map(Number) ?? [0, 0, 0, 0];
    const scale = text.startsWith('color(') ? 255 : 1;
    return [parts[0] * scale, parts[1] * scale, parts[2] * scale, parts[3] ?? 1];
  };
  const over = (above, below) => [0, 1, 2].map(i => above[i] * above[3] + below[i] * (1 - above[3])).concat(1);
  const channel = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const luminance = c => 0.2126 * channel(c[0]) + 0.7152 * channel(c[1]) + 0.0722 * channel(c[2]);
  const contrast = (a, b) => {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  const behind = (element, x, y) => {  // only what lies behind the text: a label may stand beside the box it belongs to
    const layers = [];
    for (let e = element; e; e = e.parentElement) {
      const box = e.getBoundingClientRect(), style = getComputedStyle(e), fill = colour(style.backgroundColor);
      const scrolls = e === document.documentElement || style.overflow !== 'visible';  // what is shown of its text is shown in it
      if (fill[3] > 0 && (scrolls || (box.left <= x && x <= box.right && box.top <= y && y <= box.bottom))) layers.push(fill);
    }
    return layers.reverse().reduce((below, above) => over(above, below), [255, 255, 255, 1]);
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const seen = new Set();
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement, text = node.textContent.trim();
    if (!text || !drawn(element) || element.closest('script, style, noscript, :disabled, [aria-disabled=true]')) continue;
    if (element.closest('[data-testid=stElementContainer]')?.querySelector(':disabled, [aria-disabled=true]')) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const box = range.getBoundingClientRect();
    if (box.width < 2 || box.height < 2) continue;
    const style = getComputedStyle(element), ground = behind(element, box.left + box.width / 2, box.top + box.height / 2);
    let opacity = 1;
    for (let e = element; e; e = e.parentElement) opacity *= Number(getComputedStyle(e).opacity);
    if (opacity < 0.05) continue;
    const ink = colour(element.closest('svg') ? style.fill : style.color);
    const ratio = contrast(over([ink[0], ink[1], ink[2], ink[3] * opacity], ground), ground);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && Number(style.fontWeight) >= 700);
    const where = element.closest('[data-testid]')?.dataset.testid, picture = where === 'stIconMaterial';
    const said = `contrast ${ratio.toFixed(1)} in ${where}: ${text.slice(0, 40)}`;
    if (ratio < (large || picture ? 3 : 4.5) && seen.size < 12) seen.add(said);
  }
  return [...found, ...seen];
}
"""


def problems(page: Page) -> list[str]:
    """What is wrong with the page as it stands, one line for each; [] when nothing is."""
    found: list[str] = page.evaluate(SCRIPT)
    return found
