"""The values of `--reflection-lm`, and reading them.

    base                     the run's own frozen base model
    digest                   adds advice on the mistakes that the feedback names; no model
    oracle                   takes the rules that the feedback names; no model
    local:FOLDER_OR_NAME     another local model, with safetensors and a chat template
    openai:MODEL[@URL]       an OpenAI-compatible endpoint; URL, OPENAI_BASE_URL or OpenAI itself
    litellm:NAME[@URL]       any name LiteLLM knows, provider first: litellm:anthropic/MODEL

A URL begins with http:// or https:// and holds no key: keys come from the environment only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from cl_bench.contract.errors import UsageError, unknown

KINDS = {
    "base": "the run's own frozen base model; the default, but for smollm2",
    "digest": "no model: adds advice on the kinds of mistake that the feedback names",
    "oracle": "no model: copies the rules that the feedback names; an ablation",
    "local:NAME": "another local model: a Hugging Face folder or name, or `embedded`",
    "openai:MODEL[@URL]": "an OpenAI-compatible endpoint (extra `litellm`, OPENAI_API_KEY)",
    "litellm:NAME[@URL]": "any LiteLLM name, such as anthropic/MODEL (extra `litellm`)",
}
"""The kinds of reflection LM as they are written, each with a description."""

_FORMS = {re.split(":", form)[0]: form for form in KINDS}
_URL = re.compile(r"@(?=https?://)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ReflectionLM:
    """A parsed `--reflection-lm`."""

    kind: str
    """One of base, digest, oracle, local, openai and litellm."""
    name: str = ""
    """The model; empty for base, digest and oracle."""
    url: str = ""
    """The endpoint's URL; empty for its usual place."""

    @classmethod
    def parse(cls, text: str) -> ReflectionLM:
        """Read `text`; raise `UsageError`, without any part of a URL, if no run could use it."""
        kind, colon, rest = text.partition(":")
        if kind not in _FORMS:
            raise unknown("reflection LM", kind, _FORMS)
        takes_name, takes_url = ":" in _FORMS[kind], "@" in _FORMS[kind]
        name, *url = _URL.split(rest, maxsplit=1) if takes_url else [rest]
        if takes_name != bool(name.strip()) or (colon and not takes_name):
            raise UsageError(
                f"The reflection LM {kind!r} {'needs a' if takes_name else 'takes no'} name. "
                f"Write {_FORMS[kind]}."
            )
        if url:
            check_url(url[0], "--reflection-lm")
        return cls(kind, name, url[0] if url else "")

    @property
    def outside(self) -> bool:
        """Whether it is a model outside the run, whose calls are recorded."""
        return self.kind not in ("base", "digest", "oracle")

    @property
    def label(self) -> str:
        """Kind and name, without the place: the same model elsewhere has the same label."""
        return f"{self.kind}:{self.name}" if self.name else self.kind


def check_url(url: str, source: str) -> None:
    """Raise `UsageError` unless `url` is a URL without user, password and query.

    Those may be keys, which would end up in manifests. `source` names the option or variable that
    the URL came from.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme.lower() in ("http", "https") and bool(parts.hostname)
        _ = parts.port  # raises ValueError for a port that is not a number
    except ValueError:
        usable = False
    if not usable:
        raise UsageError(
            f"The URL in {source} is not a URL. Write http://host:port/v1 or https://host/v1."
        )
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise UsageError(
            f"The URL in {source} holds more than a server and a path. Write {_bare(parts)} and "
            "put the key into the environment (OPENAI_API_KEY); no other place is private."
        )


def _bare(parts: SplitResult) -> str:
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"
