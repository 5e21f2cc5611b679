"""Pushing a folder to the Hugging Face hub, through huggingface_hub."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from cl_bench.contract.errors import HubError, UsageError
from cl_bench.contract.redaction import short_line


class Destination:
    """A model repository on the hub that a folder will be pushed to.

    What can be seen before anything is written is checked here: `UsageError` for a name that is
    none and for a missing token.
    """

    def __init__(self, repository: str, *, private: bool) -> None:
        import huggingface_hub
        from huggingface_hub.errors import HFValidationError

        self.repository, self._private = repository, private
        try:
            import_module("huggingface_hub.utils").validate_repo_id(repository)
        except HFValidationError as error:
            raise UsageError(
                f"--push-to-hub {repository!r} is not the name of a repository "
                f"({short_line(str(error)).rstrip('.')}). Give one such as owner/model."
            ) from error
        if huggingface_hub.get_token() is None:
            raise UsageError(
                "There is no Hugging Face token to push with. Log in with `hf auth login`, or set "
                "HF_TOKEN; it must be allowed to write."
            )
        self._hub: Any = huggingface_hub

    def push(self, folder: Path, message: str) -> str:
        """Create the repository unless it is there, upload the folder; the URL of the model.

        What the hub or the network refuses is a `HubError`. The folder stays as it is.
        """
        api = self._hub.HfApi()
        try:
            url = api.create_repo(self.repository, private=self._private, exist_ok=True)
            self._require_private(api, str(url.repo_id))
            api.upload_folder(repo_id=url.repo_id, folder_path=folder, commit_message=message)
        except HubError:
            raise
        except Exception as error:  # of huggingface_hub, of its HTTP library, of the system
            raise HubError(
                f"The hub did not take {self.repository}: {_said(error)}. {folder} is whole; push "
                f"it with: hf upload {self.repository} {folder}"
            ) from error
        return str(url)

    def _require_private(self, api: Any, repository: str) -> None:
        """A repository that exists keeps its visibility, whatever `create_repo` is asked for."""
        if self._private and not api.repo_info(repository).private:
            raise HubError(
                f"{repository} exists and is public, but --private was given, so nothing was "
                "uploaded. Make it private in its settings first, or leave --private out."
            )


def _said(error: Exception) -> str:
    """The reason in one line; advice and request numbers that follow it are left out."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    names = {401: "the token is not valid", 403: "the token may not write there"}
    if status in names:
        return f"{names[status]} (HTTP {status})"
    first = str(error).strip().partition("\n")[0]
    return short_line(f"{type(error).__name__}: {first}").rstrip(".")
