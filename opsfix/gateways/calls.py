"""How every client library is called: what it raises leaves as CloudRefused, CloudUnknown or, for a broken set-up,
ConfigError; reads are tried again, changes are sent once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from cinderclient import exceptions as cinder_errors
from keystoneauth1 import exceptions as auth_errors
from novaclient import exceptions as nova_errors
from openstack import exceptions as sdk_errors
from requests import exceptions as http_errors
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from opsfix.errors import CloudRefused, CloudUnknown, ConfigError
from opsfix.secrets import masked

T = TypeVar("T")

#: The set-up is wrong, whatever is asked: no credentials, no catalogue entry, a refused login, no such certificate.
_SETUP_ERRORS = (
    sdk_errors.ConfigException,
    sdk_errors.EndpointNotFound,
    auth_errors.Unauthorized,
    auth_errors.AuthPluginException,
    auth_errors.CatalogException,
    auth_errors.DiscoveryFailure,
)
CLIENT_ERRORS = (
    sdk_errors.SDKException,
    auth_errors.ClientException,
    cinder_errors.ClientException,
    nova_errors.ClientException,
    http_errors.RequestException,
    OSError,
)
_READS = Retrying(
    retry=retry_if_exception_type(CloudUnknown),
    stop=stop_after_attempt(3),
    wait=wait_random_exponential(multiplier=0.2, max=2),
    reraise=True,
)


def told(error: Exception) -> str:
    """A service's own words, on one line; what it repeats of a request's secrets is masked."""
    details = getattr(error, "details", None)
    return masked(" ".join(str(details or getattr(error, "message", None) or error).split()))


def _status(error: Exception) -> int:
    for name in ("status_code", "http_status", "code"):
        value = getattr(error, name, None)
        if isinstance(value, int):
            return value
    return 0


def _translated(error: Exception) -> Exception:
    if isinstance(error, _SETUP_ERRORS):
        return ConfigError(f"the cloud cannot be used: {told(error)}: check the credentials with 'opsfix config check'")
    status = _status(error)
    if status == 401:
        return ConfigError(f"keystone refuses the credentials: {told(error)}: check them with 'opsfix config check'")
    if 400 <= status < 500 and status not in (408, 429):
        return CloudRefused(status, told(error))
    return CloudUnknown(f"HTTP {status}: {told(error)}" if status else told(error))


def change(call: Callable[[], T]) -> T:
    """Send one change, exactly once."""
    try:
        return call()
    except CLIENT_ERRORS as e:
        raise _translated(e) from e
    except (KeyError, TypeError, ValueError, AttributeError) as e:
        raise CloudUnknown(f"an answer that is not of the known form ({type(e).__name__}: {e})") from e


def answered(answer: Any) -> Any:
    """The body of a raw answer; raises what the SDK raises for an error."""
    sdk_errors.raise_from_response(answer)
    return answer.json() if answer.content else None


def read(call: Callable[[], T]) -> T:
    """Read, again when the answer was lost or the service was busy."""
    found: T = _READS(lambda: change(call))
    return found


def paged(listing: Callable[[], Iterator[Any]], view: Callable[[Any], T]) -> Iterator[T]:
    """Pass on a listing page by page. A failure on the way raises: half a listing must never look whole."""
    pages = change(listing)
    end = object()
    while (found := change(lambda: next(pages, end))) is not end:
        yield change(lambda found=found: view(found))  # type: ignore[misc]


def onward(rows: Sequence[Mapping[str, Any]], key: str, before: Any) -> Any:
    """The marker of the page after these rows. Raises CloudUnknown for a page that came twice: no listing ends like that."""
    marker = rows[-1][key]
    if marker == before:
        raise CloudUnknown("the service answered with the same page twice, so the listing is not complete")
    return marker


def time(text: str | None) -> datetime | None:
    if not text:
        return None
    parsed = datetime.fromisoformat(text)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def one(get: Callable[[], T]) -> T | None:
    try:
        return read(get)
    except CloudRefused as e:
        if e.status == 404:
            return None
        raise
