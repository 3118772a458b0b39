"""The frame of every HTML page: no script, nothing from elsewhere, light and dark, and fit to be printed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from heldout.cli.screens.svg import text

STYLE: Final = """
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#59636e;--line:#d8dee4;--page:#fff;--panel:#f6f8fa;
--one:#2f6f9f;--two:#b5651d;--bad:#b3261e;--good:#1f7a3d}
@media (prefers-color-scheme:dark){:root{--ink:#e6e9ec;--soft:#9aa4ae;--line:#343b43;--page:#14181c;--panel:#1c2227;
--one:#6fb1de;--two:#e0a25f;--bad:#ff8a80;--good:#6fcf8f}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:62rem;padding:2.5rem 1.5rem 4rem;background:var(--page);color:var(--ink);
font:15px/1.55 system-ui,sans-serif}
h1{font-size:1.7rem;line-height:1.2;margin:0 0 .3rem}h2{font-size:1.15rem;margin:2.6rem 0 .6rem}
h3{font-size:.95rem;margin:1.4rem 0 .2rem}h3 code{font-weight:400;color:var(--soft)}.t{white-space:nowrap}
figure{margin:0}figcaption{color:var(--soft);font-size:.86rem}
p{margin:.4rem 0 .9rem;max-width:46rem}.soft{color:var(--soft)}
table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{text-align:left;padding:.38rem .9rem .38rem 0;border-bottom:1px solid var(--line);vertical-align:top}
th{font-weight:600;color:var(--soft)}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
code{font:.86em ui-monospace,monospace;overflow-wrap:anywhere}
.wide{overflow-x:auto}.panel{background:var(--panel);border:1px solid var(--line);border-radius:8px;padding:1rem 1.2rem}
.panel+.panel{margin-top:.8rem}.panel ul{margin:.4rem 0 0;padding:0;list-style:none}
.bad{color:var(--bad)}.good{color:var(--good)}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.8rem;margin:1.4rem 0}
.facts b{display:block;font-size:1.5rem;line-height:1.2}.facts span{color:var(--soft);font-size:.86rem}
svg{width:100%;height:auto;display:block}svg text{fill:var(--soft);stroke:none;font:11px system-ui,sans-serif}
svg .axis{stroke:var(--line)}svg .one{stroke:var(--one)}svg .two{stroke:var(--two)}svg .top{stroke:var(--bad)}
svg rect.one{fill:var(--one);stroke:none}svg rect.bad{fill:var(--bad);stroke:none}
svg text.one{fill:var(--one);stroke:none}svg text.two{fill:var(--two);stroke:none}
svg text.top{fill:var(--bad);stroke:none}
svg .spread{stroke-width:5;opacity:.28}svg circle.one{fill:var(--one)}svg circle.two{fill:var(--two)}
svg circle.hollow{fill:var(--page);stroke-width:2}
@media print{body{max-width:none;padding:0;font-size:11px}h2,h3{break-after:avoid}tr,svg,.panel{break-inside:avoid}
thead{display:table-header-group}.wide{overflow:visible}}
""".strip().replace("\n", "")


def page_html(title: str, parts: Sequence[str]) -> str:
    """Return a whole page.

    Args:
        title: as text.
        parts: what it holds, HTML already.
    """
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{text(title)}</title><style>{STYLE}</style></head><body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: frozenset[int] = frozenset()) -> str:
    """Return a table of cells that are HTML already; the header is text."""

    def line(cells: Sequence[str], tag: str) -> str:
        marked = (f'<{tag} class="n">' if place in numbers else f"<{tag}>" for place in range(len(cells)))
        return "<tr>" + "".join(f"{mark}{cell}</{tag}>" for mark, cell in zip(marked, cells, strict=True)) + "</tr>"

    head = line([text(cell) for cell in header], "th")
    body = "".join(line(row, "td") for row in rows)
    return f'<div class="wide"><table><thead>{head}</thead><tbody>{body}</tbody></table></div>'
