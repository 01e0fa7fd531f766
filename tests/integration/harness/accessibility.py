"""Accessibility: what a page has to offer to those who do not look at it as we do, asked of a tab of a browser."""

import json

CONTRAST = 4.5  # WCAG 2.2, 1.4.3, of text of ordinary size

# The ratio of each element with text of its own to what lies below it: backgrounds with an alpha are laid over one another, and of
# a gradient each colour counts. Text that is on its way to another place, or that nobody sees, is left out.
RATIOS = """(() => {
  const paint = document.createElement("canvas").getContext("2d", { willReadFrequently: true })
  const rgba = colour => {
    paint.clearRect(0, 0, 1, 1); paint.fillStyle = colour; paint.fillRect(0, 0, 1, 1)
    const [r, g, b, a] = paint.getImageData(0, 0, 1, 1).data
    return { rgb: [r, g, b], alpha: a / 255 }
  }
  const over = (top, below) => top.rgb.map((c, i) => c * top.alpha + below[i] * (1 - top.alpha))
  const light = rgb => rgb.map(c => c / 255).map(c => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0)
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + .05) / (y + .05) }
  const grounds = element => {
    if (!element) return [[255, 255, 255]]
    const { backgroundColor, backgroundImage } = getComputedStyle(element)
    const gradient = backgroundImage.startsWith("url") ? backgroundImage.slice(backgroundImage.indexOf("linear-gradient")) : backgroundImage
    const stops = gradient.includes("gradient") ? gradient.match(/rgba?\\([^)]*\\)/g).map(rgba).filter(({ alpha }) => alpha === 1) : []
    const own = rgba(backgroundColor)
    if (stops.length) return stops.map(({ rgb }) => rgb)
    return own.alpha === 1 ? [own.rgb] : grounds(element.parentElement).map(below => over(own, below))
  }
  const found = []
  for (const element of document.querySelectorAll("body *")) {
    const words = [...element.childNodes].filter(node => node.nodeType === 3 && node.data.trim()).map(node => node.data.trim()).join(" ")
    if (!words || !element.checkVisibility({ opacityProperty: true, visibilityProperty: true }) || element.closest(".unseen, .skip, noscript")) continue
    const below = grounds(element)
    found.push([Math.min(...below.map(ground => ratio(over(rgba(getComputedStyle(element).color), ground), ground))), words])
  }
  return JSON.stringify(found)
})()"""

USED = {"button", "link", "progressbar", "textbox", "searchbox", "combobox", "img", "region"}


def too_faint(tab):
    """The texts that cannot be told from their ground, with the ratio of both; and how many there are."""
    found = json.loads(tab.value(RATIOS))
    return [(round(ratio, 2), words) for ratio, words in found if ratio < CONTRAST], len(found)


def named(tab):
    """(role, name) of what can be used, as a screen reader says it."""
    tab.call("Accessibility.enable")
    nodes = tab.call("Accessibility.getFullAXTree")["nodes"]
    return [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes
            if not node["ignored"] and node["role"]["value"] in USED]


def tab_stops(page):
    """What Tab comes to, in order: (tag, name)."""
    page.value("document.activeElement.blur()")
    stops = []
    for _ in range(30):
        page.key("Tab", "Tab", 9)
        stop = json.loads(page.value("(({localName, id, className, textContent}) => JSON.stringify([localName, id || className, textContent.trim()]))"
                                     "(document.activeElement)"))
        if stop in stops or stop[0] == "body":
            break
        stops.append(stop)
    return stops
