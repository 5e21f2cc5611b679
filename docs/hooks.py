"""What the site has beside the pages of this folder: a hook of mkdocs, named in mkdocs.yml.

Pages that lie elsewhere in the repository (reports, results, CONTRIBUTING.md, …) are pages of the
site. Links work in the repository and on the site alike: one that leads to a file which is no page
leads to a page that shows it. Notebooks are shown as they were executed.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files, InclusionLevel

ROOT = Path(__file__).parents[1]
PAGES = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "cl_bench/model/embedded/README.md",
    "reports/claims.md",
    "reports/leaderboard.md",
    "results/README.md",
    "results/claims/findings.md",
    "results/smollm2/README.md",
)
# beside the pages of the same names
STATIC = {f"reports/{name}.html": f"interactive/{name}.html" for name in ("claims", "leaderboard")}
# [text](target#anchor) and ![text](target), of files in the repository
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)\s#]+)(?=[)#])")
# [docs/sweeps.md](sweeps.md#slurm): a text that says only which file it is
FILE_NAME = re.compile(r"\[`?([\w./-]+\.md)`?\]\(([^)\s#]*\.md)(?=[)#])")
FENCES = {".py": "python", ".toml": "toml", ".yaml": "yaml", ".yml": "yaml", ".sh": "sh"}


def on_files(files: Files, config: Any) -> Files:
    """The files of docs/, and those that the site takes from elsewhere."""
    for notebook in [file for file in files if file.src_uri.endswith(".ipynb")]:
        for name, content in _executed(Path(notebook.abs_src_path)):
            files.append(File.generated(config, name, content=content))
    for path, uri in STATIC.items():
        _add(files, config, uri, (ROOT / path).read_bytes())
    for path in PAGES:
        _add(files, config, path, (ROOT / path).read_text(encoding="utf-8"))
    for file in list(files.documentation_pages()):
        text = file.content_string if file.generated_by else Path(file.abs_src_path).read_text()
        for target in _targets(text, _in_repository(file.src_uri)):
            uri = _on_site(target)
            if files.get_file_from_path(uri) is None:
                _add(files, config, uri, _shown(target) if uri.endswith(".md") else _bytes(target))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The page's text, with links that lead where things lie on the site."""
    here = _in_repository(page.file.src_uri)
    folder = posixpath.dirname(page.file.src_uri)

    def there(found: re.Match[str]) -> str:
        target = _resolved(found[1], here)
        return found[1] if target is None else posixpath.relpath(_on_site(target), folder or ".")

    def titled(found: re.Match[str]) -> str:
        target = _resolved(found[2], here)
        return found[0] if target is None else f"[{_title(ROOT / target)}]({found[2]}"

    return LINK.sub(there, FILE_NAME.sub(titled, markdown))


def _add(files: Files, config: Any, uri: str, content: str | bytes) -> None:
    inclusion = InclusionLevel.INCLUDED if uri in PAGES else InclusionLevel.NOT_IN_NAV
    files.append(File.generated(config, uri, content=content, inclusion=inclusion))


def _executed(notebook: Path) -> Iterator[tuple[str, str | bytes]]:
    """A page of a notebook and the figures in it, as names and contents."""
    from nbconvert import MarkdownExporter

    exporter = MarkdownExporter()
    resources = {"output_files_dir": f"{notebook.stem}-figures"}
    text, made = exporter.from_filename(str(notebook), resources=resources)
    yield f"{notebook.stem}.md", text
    yield from made["outputs"].items()


def _in_repository(uri: str) -> str:
    """Where what the site calls `uri` lies in the repository."""
    return uri if uri in PAGES else f"docs/{uri}"


def _on_site(path: str) -> str:
    """What the site calls a file or folder of the repository."""
    if path == "README.md":
        return "index.md"
    if path.startswith("docs/") and not path.endswith(".ipynb"):
        path = path.removeprefix("docs/")
        return path if path.endswith((".md", ".png", ".svg")) else f"source/docs/{path}.md"
    if path.startswith("docs/"):
        return f"{Path(path).stem}.md"
    if path in PAGES or path.endswith((".png", ".svg")):
        return path
    if path in STATIC:
        return STATIC[path]
    return f"source/{path}.md"


def _resolved(target: str, here: str) -> str | None:
    """The path in the repository that a link in the file `here` leads to, if there is one."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(here), target))
    return path if (ROOT / path).exists() else None


def _title(page: Path) -> str:
    """The first heading of a page, or the name of one that has none."""
    heading = re.search(r"^# (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return heading[1] if heading else page.name


def _targets(text: str, here: str) -> Iterator[str]:
    for found in LINK.finditer(text):
        target = _resolved(found[1], here)
        if target is not None:
            yield target


def _bytes(path: str) -> bytes:
    return (ROOT / path).read_bytes()


def _shown(path: str) -> str:
    """A page that shows a file, or the files of a folder one after the other."""
    place = ROOT / path
    head = f"---\nsearch:\n  exclude: true\n---\n\n# `{path}`\n"
    if place.is_file():
        return head + _block(place)
    parts = [
        f"\n## `{file.relative_to(place)}`\n{_block(file)}"
        for file in sorted(place.rglob("*"))
        if file.is_file() and "__pycache__" not in file.parts
    ]
    return head + "".join(parts)


def _block(file: Path) -> str:
    text = file.read_text(encoding="utf-8")
    return f"\n`````{FENCES.get(file.suffix, 'text')}\n{text.rstrip()}\n`````\n"
