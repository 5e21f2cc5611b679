"""Pushing to the hub, with the library's HfApi replaced: what is called, and what is refused."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub.errors import HfHubHTTPError
from typer.testing import CliRunner

from cl_bench.cli.app import app
from cl_bench.contract.errors import HubError, UsageError
from cl_bench.export.hub import Destination


class Url(str):
    __slots__ = ()
    repo_id = "ada/model"


class FakeApi:
    """Records calls; `fault` is raised by the upload, `private` is what the repository is."""

    calls: list[tuple[str, dict[str, Any]]]
    fault: Exception | None
    private: bool

    def create_repo(self, repo_id: str, **options: Any) -> Url:
        self.calls.append(("create_repo", {"repo_id": repo_id, **options}))
        return Url("https://huggingface.co/ada/model")

    def repo_info(self, repo_id: str) -> SimpleNamespace:
        return SimpleNamespace(private=self.private)

    def upload_folder(self, **options: Any) -> None:
        files = sorted(path.name for path in Path(options["folder_path"]).iterdir())
        self.calls.append(("upload_folder", {**options, "files": files}))
        if self.fault is not None:
            raise self.fault


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> type[FakeApi]:
    fresh = type("Api", (FakeApi,), {"calls": [], "fault": None, "private": True})
    monkeypatch.setattr("huggingface_hub.HfApi", fresh)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: "hf_sekrit-token")
    return fresh


def refusal(status: int) -> HfHubHTTPError:
    request = SimpleNamespace(url="https://huggingface.co/api/models/ada/model/commit?secret=1")
    response: Any = SimpleNamespace(status_code=status, headers={}, request=request)  # any client's
    return HfHubHTTPError("Client error.\nRequest ID: 12", response=response)


def test_a_run_is_pushed_with_its_card(trained: Path, api: type[FakeApi], tmp_path: Path) -> None:
    out = tmp_path / "model"
    words = ["export", str(trained), "--out", str(out), "--push-to-hub", "ada/model", "--private"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "Pushed: https://huggingface.co/ada/model"
    (made, created), (sent, upload) = api.calls
    assert (made, created) == (
        "create_repo",
        {"repo_id": "ada/model", "private": True, "exist_ok": True},
    )
    assert sent == "upload_folder"
    assert (upload["repo_id"], upload["folder_path"]) == ("ada/model", out)
    assert {"README.md", "prompts.json", "model.safetensors"} <= set(upload["files"])
    assert 'snapshot_download("ada/model")' in (out / "README.md").read_text()


def test_without_a_token_nothing_is_written(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    words = ["export", str(trained), "--out", str(tmp_path / "x"), "--push-to-hub", "ada/model"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert "There is no Hugging Face token" in " ".join(result.stderr.split())
    assert not any(tmp_path.iterdir())


def test_a_public_repository_is_not_taken_for_a_private_one(
    api: type[FakeApi], tmp_path: Path
) -> None:
    api.private = False
    with pytest.raises(HubError, match="exists and is public, but --private was given"):
        Destination("ada/model", private=True).push(tmp_path, "message")
    assert [name for name, _ in api.calls] == ["create_repo"]
    Destination("ada/model", private=False).push(tmp_path, "message")
    assert [name for name, _ in api.calls] == ["create_repo", "create_repo", "upload_folder"]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (refusal(401), r"the token is not valid \(HTTP 401\)"),
        (refusal(403), r"the token may not write there \(HTTP 403\)"),
        (refusal(500), "HfHubHTTPError: Client error"),
        (
            ConnectionError("no route to https://ada:pw@host/x?token=1"),
            "no route to https://host/x",
        ),
    ],
)
def test_what_the_hub_refuses_is_one_line_that_says_how_to_go_on(
    api: type[FakeApi], tmp_path: Path, fault: Exception, reason: str
) -> None:
    api.fault = fault
    with pytest.raises(HubError, match=reason) as raised:
        Destination("ada/model", private=False).push(tmp_path, "message")
    assert f"push it with: hf upload ada/model {tmp_path}" in str(raised.value)
    for secret in ("pw", "token=1", "secret=1", "Request ID"):
        assert secret not in str(raised.value)


@pytest.mark.usefixtures("api")
@pytest.mark.parametrize("name", ["a/b/c", "", "ada/--x", "ada/x y"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="is not the name of a repository"):
        Destination(name, private=False)
