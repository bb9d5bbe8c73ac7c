"""What the hub's client raises, as one line and the next step; knows nothing of transfers."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

from dit4sr_cli.core.errors import Dit4srError, ModelError, NetworkError, OutputError
from dit4sr_cli.weights.catalog import Part

AGAIN = "run the same command again: what has arrived is kept"
_HTTP_CLIENTS = ("httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_RETRIED_BY_CLIENT = {"ConnectError", "TimeoutException", "RemoteProtocolError"}
_NEVER_CONNECTED = ("Connect", "Proxy", "UnsupportedProtocol", "InvalidURL")
_BUSY = (408, 429, 500, 502, 503, 504)


def is_transient(error: BaseException) -> bool:
    """Whether the same request may well succeed a moment later."""
    status = _status(error)
    if status is not None:
        return status in _BUSY
    if _is_offline(error):
        return False
    # huggingface_hub says with a bare OSError that a body was shorter than announced.
    return _is_of_http_client(error) or (isinstance(error, OSError) and error.errno is None)


def was_retried(error: BaseException) -> bool:
    """Whether huggingface_hub has tried for some time already before it gave up on a file."""
    names = {cls.__name__ for cls in type(error).__mro__}
    return bool(names & _RETRIED_BY_CLIENT) or _status(error) in (408, 429)


def retry_after(error: BaseException) -> float:
    """Seconds that the hub asks to wait; 0: it does not say."""
    headers = getattr(getattr(error, "response", None), "headers", {})
    value = str(headers.get("Retry-After", ""))
    return float(value) if value.isdigit() else 0.0


def explain(error: Exception, part: Part, revision: str, where: Path | None = None) -> Dit4srError:
    """The failure of a request for a part.

    Args:
        error: what huggingface_hub or the file system raised.
        part: what was being fetched.
        revision: of its repository, as it was asked for.
        where: the file that was being written.
    """
    if isinstance(error, Dit4srError):
        return error
    if _is_offline(error):
        return NetworkError(
            "HF_HUB_OFFLINE is set: nothing is fetched",
            hint="unset it, or take the files from a copy with --from FOLDER",
        )
    by_name: dict[str, Callable[[Exception, Part, str], Dit4srError]] = {
        "GatedRepoError": _gated,
        "RepositoryNotFoundError": _no_repository,
        "RevisionNotFoundError": _no_revision,
    }
    name = next((c.__name__ for c in type(error).__mro__ if c.__name__ in by_name), None)
    if name is not None:
        return by_name[name](error, part, revision)
    if _status(error) is not None:
        return _refused(error, part)
    if isinstance(error, OSError) and error.errno is not None and not _is_of_http_client(error):
        return on_disk(error, where)
    if _is_of_http_client(error):
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        is_there = not type(error).__name__.startswith(_NEVER_CONNECTED)
        problem = "the connection broke" if is_there else "the hub cannot be reached"
        return NetworkError(f"{part.repo}: {problem} ({reason})", hint=AGAIN)
    if isinstance(error, (OSError, ValueError)):
        reason = str(error).strip().split("\n")[0]
        return NetworkError(
            f"{part.repo}: the answer is not that of a hub ({reason})",
            hint="check HF_ENDPOINT and proxies; what has arrived is kept",
        )
    raise error


def on_disk(error: OSError, where: Path | None = None) -> OutputError:
    """A file that cannot be written."""
    place = error.filename or where
    message = f"{place}: {error.strerror}" if place else str(error.strerror)
    if error.errno in _FULL:
        return OutputError(
            message,
            hint="free some space, then run the same command again: what has arrived is kept",
        )
    return OutputError(message, hint="set DIT4SR_HOME to a folder where you may write")


def _gated(error: Exception, part: Part, revision: str) -> Dit4srError:
    if _has_token():
        problem = "the account of your token has no access yet"
        hint = f"accept the licence on {part.url} with that account, then {AGAIN}"
    else:
        problem = "gated, and there is no token"
        hint = f"accept the licence on {part.url}, then set HF_TOKEN or run hf auth login"
    return NetworkError(f"{part.repo}: {problem}", hint=hint)


def _no_repository(error: Exception, part: Part, revision: str) -> Dit4srError:
    unseen = "" if _has_token() else ", or none that is seen without a token (HF_TOKEN)"
    return ModelError(
        f"{part.repo}: no such repository on {_endpoint()}{unseen}",
        hint="check HF_ENDPOINT, or take the files from a copy with --from FOLDER",
    )


def _no_revision(error: Exception, part: Part, revision: str) -> Dit4srError:
    return ModelError(
        f"{part.repo}: no revision {revision}",
        hint="give a branch, a tag or a commit with --revision, such as main",
    )


def _refused(error: Exception, part: Part) -> Dit4srError:
    status = _status(error)
    if status == 401:
        return NetworkError(
            f"{part.repo}: the hub does not know your token",
            hint="set HF_TOKEN to one that is valid, or run hf auth login",
        )
    if status == 403:
        return NetworkError(
            f"{part.repo}: your token may not read it",
            hint=f"see {part.url} and your token's rights",
        )
    if status == 429:
        return NetworkError(
            f"{part.repo}: the hub asks for patience (429)", hint=f"wait; then {AGAIN}"
        )
    if status == 404:
        return ModelError(
            f"{part.repo}: a file of this commit is gone from the hub", hint="try --revision main"
        )
    return NetworkError(f"{part.repo}: the hub answers with error {status}", hint=AGAIN)


def _status(error: BaseException) -> int | None:
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


def _is_of_http_client(error: BaseException) -> bool:
    # Which client it is depends on the version of huggingface_hub.
    modules = (cls.__module__.partition(".")[0] for cls in type(error).__mro__)
    return any(module in _HTTP_CLIENTS for module in modules)


def _is_offline(error: BaseException) -> bool:
    return type(error).__name__ == "OfflineModeIsEnabled"


def _has_token() -> bool:
    from huggingface_hub import get_token

    return get_token() is not None


def _endpoint() -> str:
    from huggingface_hub import constants

    return str(constants.ENDPOINT)
