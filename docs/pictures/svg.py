"""Draws a terminal screen (text with SGR sequences on standard input) as SVG: svg.py COLUMNS TITLE."""

import html
import re
import sys
import unicodedata

PALETTE = ["#2b303b", "#d0616b", "#7fb069", "#d9a441", "#5e9cd3", "#a87fc4", "#56b3b4", "#d8dee9",
           "#65737e", "#e57f88", "#99c794", "#fac863", "#82b8ea", "#c594c5", "#7fd1d1", "#ffffff"]
GROUND, INK, WIDTH, HEIGHT, TOP = "#1b2028", "#d8dee9", 8.4, 19, 44


def indexed(number):
    if number < 16:
        return PALETTE[number]
    if number >= 232:
        grey = 8 + (number - 232) * 10
        return f"#{grey:02x}{grey:02x}{grey:02x}"
    number -= 16
    level = lambda v: 0 if v == 0 else 55 + 40 * v
    return "#{:02x}{:02x}{:02x}".format(level(number // 36), level(number // 6 % 6), level(number % 6))


class Style:
    def __init__(self):
        self.reset()

    def reset(self):
        self.ink, self.ground, self.bold, self.dim, self.reverse = None, None, False, False, False

    def apply(self, codes):
        codes = [int(c or 0) for c in codes.split(";")]
        while codes:
            code = codes.pop(0)
            if code == 0: self.reset()
            elif code == 1: self.bold = True
            elif code == 2: self.dim = True
            elif code == 7: self.reverse = True
            elif code == 22: self.bold = self.dim = False
            elif code == 27: self.reverse = False
            elif 30 <= code <= 37: self.ink = PALETTE[code - 30]
            elif 90 <= code <= 97: self.ink = PALETTE[code - 82]
            elif 40 <= code <= 47: self.ground = PALETTE[code - 40]
            elif 100 <= code <= 107: self.ground = PALETTE[code - 92]
            elif code == 39: self.ink = None
            elif code == 49: self.ground = None
            elif code in (38, 48):
                kind = codes.pop(0)
                colour = indexed(codes.pop(0)) if kind == 5 else "#{:02x}{:02x}{:02x}".format(*[codes.pop(0) for _ in range(3)])
                if code == 38: self.ink = colour
                else: self.ground = colour

    def colours(self):
        ink, ground = self.ink or INK, self.ground or GROUND
        return (ground, ink) if self.reverse else (ink, ground)


def main():
    columns, title = int(sys.argv[1]), sys.argv[2]
    lines = sys.stdin.read().rstrip("\n").split("\n")
    width, height = columns * WIDTH + 32, len(lines) * HEIGHT + TOP + 16
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" role="img" aria-label="{html.escape(title)}">')
    print(f'<rect width="100%" height="100%" rx="8" fill="{GROUND}"/>')
    for number, colour in enumerate(("#d0616b", "#d9a441", "#7fb069")):
        print(f'<circle cx="{20 + number * 18}" cy="20" r="6" fill="{colour}"/>')
    print(f'<text x="{width / 2:.0f}" y="25" fill="#8b95a3" text-anchor="middle" font-family="sans-serif" font-size="13">{html.escape(title)}</text>')
    print('<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" font-size="14">')
    style = Style()
    for row, line in enumerate(lines):
        column, y = 0, TOP + row * HEIGHT
        for piece in re.split(r"(\x1b\[[0-9;]*m)", line):
            if piece.startswith("\x1b["):
                style.apply(piece[2:-1])
                continue
            piece = re.sub(r"\x1b\(B|\x0f|\x0e", "", piece)
            if not piece:
                continue
            cells = sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in piece)
            ink, ground = style.colours()
            x = 16 + column * WIDTH
            if ground != GROUND:
                print(f'<rect x="{x:.1f}" y="{y}" width="{cells * WIDTH:.1f}" height="{HEIGHT}" fill="{ground}"/>')
            weight = ' font-weight="bold"' if style.bold else ""
            faint = ' opacity="0.65"' if style.dim else ""
            # Word by word, because spaces at the ends of a text and in rows are not kept.
            for word in re.finditer(r"\S+", piece):
                at, length = x + word.start() * WIDTH, len(word[0]) * WIDTH
                print(f'<text x="{at:.1f}" y="{y + 14}" fill="{ink}"{weight}{faint} textLength="{length:.1f}">{html.escape(word[0])}</text>')
            column += cells
    print("</g></svg>")


main()
