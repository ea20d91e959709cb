"""Reads a page of HTML as a browser does, and says what is in it.

usage: read_page.py FILE

Prints JSON: "error", what a strict parser finds wrong, or null; "elements",
the names of all elements; "attributes", the names of all attributes; "links",
whatever an attribute or the style may load from elsewhere; "texts", the
contents of the elements that hold what clients chose, by element.
"""
import json
import re
import sys
from typing import Dict, List

import html5lib
from html5lib.html5parser import ParseError

HOLDERS = ("bdi", "h2", "li", "p", "pre", "small", "td", "title")


def local(name: object) -> str:
    """The name of an element without its namespace; comments have none."""
    return name.rsplit("}", 1)[-1] if isinstance(name, str) else "comment"


def parse(page: str) -> object:
    """As browsers do it, whatever is wrong with the page."""
    return html5lib.parse(page, treebuilder="etree")


def mistake(page: str) -> str:
    """What is not as the HTML standard has it, or None."""
    try:
        html5lib.HTMLParser(strict=True).parse(page)
    except ParseError as error:
        return str(error) or "parse error"
    return None


def links(tree: object) -> List[str]:
    """All that a browser might fetch."""
    found = []
    for element in tree.iter():
        for name, value in element.attrib.items():
            if local(name) in ("href", "src", "srcset", "data", "action",
                               "background", "poster", "formaction"):
                found.append(f"{local(element.tag)} {local(name)}={value}")
        text = " ".join([element.attrib.get("style", "")]
                        + [element.text or ""] * (local(element.tag) == "style"))
        found += re.findall(r"url\(.*?\)|@import.*?;", text)
    return found


def main(path: str) -> None:
    with open(path, encoding="ascii") as file:
        page = file.read()
    tree = parse(page)
    texts: Dict[str, List[str]] = {name: [] for name in HOLDERS}
    for element in tree.iter():
        if local(element.tag) in texts:
            texts[local(element.tag)].append("".join(element.itertext()))
    json.dump({
        "error": mistake(page),
        "elements": sorted({local(e.tag) for e in tree.iter()}),
        "attributes": sorted({local(a) for e in tree.iter() for a in e.attrib}),
        "links": links(tree),
        "texts": texts}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
