"""HTTP requests to one registry, repeated if they fail for a moment."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from io import BytesIO
from socket import gaierror
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from azureml_tasks import signals
from azureml_tasks.errors import RegistryError, connection_failure
from azureml_tasks.plain_text import clean

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests
    from urllib3 import BaseHTTPResponse

_LOOPBACK = re.compile(r"(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?")
_RETRIES = 3
_BACKOFF = 0.5
"""Seconds: the requests follow after 0, 1 and 2 s, or when the registry says."""
_LONGEST_WAIT = 30.0
"""Seconds; a registry may ask for more."""
_WORTH_SAYING = 5.0
"""Seconds of a wait that is said."""
_TEMPORARY = frozenset({429, 500, 502, 503, 504})
_SERVER_ERRORS = 500  # and above
_CONNECT_TIMEOUT, _READ_TIMEOUT = 30, 60
"""Seconds for a connection, and without a byte of an answer."""
_LONGEST_MESSAGE = 500
_LARGEST, _BLOCK = 16 * 1024 * 1024, 64 * 1024
"""Bytes of an answer when it is unpacked, and of a part of it; a registry takes manifests of 4 MiB."""


class AnswerError(RegistryError):
    """The registry refuses a request, or does not answer.

    Args:
        what: what is wrong, in one sentence.
        status: of the answer; 0 if there is none.
        next_step: what to do about it.
        said: what the registry says.
    """

    def __init__(self, what: str, *, status: int, next_step: str = "", said: str = "") -> None:
        super().__init__(what, next_step=next_step, said=said)
        self.status = status


@dataclass(frozen=True, kw_only=True)
class RegistrySession:
    """A session with a registry.

    Args:
        login_server: such as `contoso.azurecr.io`.
        say: takes what a wait is for.
        retries: how often a request that fails for a moment is repeated.
    """

    login_server: str
    say: Callable[[str], None] = lambda _: None
    retries: int = _RETRIES

    @property
    def url(self) -> str:
        """The registry's address: https, and http on this machine alone."""
        return f"{'http' if _LOOPBACK.fullmatch(self.login_server) else 'https'}://{self.login_server}"

    def send(self, method: str, url: str, *, redirects: bool = False, **options: Any) -> requests.Response:
        """Send a request, which must be safe to repeat, and return the answer, also one that refuses.

        Args:
            method: such as `GET`.
            url: absolute.
            redirects: whether to follow redirects; the header Authorization is not sent to another host.
            options: as of `requests.request`.

        Raises:
            AnswerError: there is no answer, an endless one, or a temporary error, after the retries.
        """
        from requests import RequestException

        fix = "Run the same command again later."
        try:
            response = self._session.request(
                method,
                url,
                allow_redirects=redirects,
                timeout=(_CONNECT_TIMEOUT, _READ_TIMEOUT),
                stream=True,
                **options,
            )
        except RequestException as error:
            cause = getattr(next(iter(error.args), error), "reason", None) or error
            said = f"the connection failed: {connection_failure(error)}"
            what = f"Registry {self.login_server} does not answer."
            if isinstance(cause.__context__, gaierror):  # of every version of urllib3
                name = urlsplit(str(getattr(error.request, "url", url))).hostname
                what = f"Registry {self.login_server} cannot be reached: the name {name} cannot be resolved."
                fix = "Check the name, then this machine's DNS and network."
            raise AnswerError(what, status=0, next_step=fix, said=said) from error
        if response.status_code == HTTPStatus.TOO_MANY_REQUESTS or response.status_code >= _SERVER_ERRORS:
            again = ", also after retries" if self.retries else ""
            what = f"Registry {self.login_server} answers {response.status_code}{again}."
            raise AnswerError(what, status=response.status_code, next_step=fix, said=message_of(response))
        return response

    def _read(self, response: requests.Response, **_: Any) -> None:
        """Read the body of *response*, which may be endless: a table can name any host.

        Raises:
            AnswerError: it is longer than any answer of a registry.
            requests.ConnectionError: the connection breaks.
        """
        from requests import ConnectionError as NoAnswer
        from urllib3.exceptions import HTTPError

        body = bytearray()
        try:
            for block in response.raw.stream(_BLOCK, decode_content=True):
                body += block
                if len(body) > _LARGEST:
                    response.close()
                    what = f"Registry {self.login_server} answers with more than {_LARGEST >> 20} MiB."
                    raise AnswerError(what, status=response.status_code, next_step="Check its name.")
        except HTTPError as error:
            raise NoAnswer(error) from error
        response.raw = BytesIO(body)

    @cached_property
    def _session(self) -> requests.Session:
        import requests
        from requests.adapters import HTTPAdapter
        from urllib3.exceptions import InvalidHeader
        from urllib3.util import Retry

        login_server, say = self.login_server, self.say

        class PatientRetry(Retry):
            def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
                try:
                    return super().get_retry_after(response)
                except InvalidHeader:
                    return None

            def sleep_for_retry(self, response: BaseHTTPResponse) -> bool:
                asked = self.get_retry_after(response)
                if not asked:
                    return False
                seconds = min(asked, _LONGEST_WAIT)
                if seconds >= _WORTH_SAYING:
                    say(
                        f"registry {login_server} asks to wait for {asked:,.0f} s; "
                        f"trying again in {seconds:.0f} s"
                    )
                signals.wait(seconds)
                return True

        retry = PatientRetry(
            total=self.retries,
            backoff_factor=_BACKOFF,
            status_forcelist=_TEMPORARY,
            allowed_methods=None,  # every method
            raise_on_status=False,
        )
        session = requests.Session()
        session.hooks["response"].append(self._read)  # Each redirect has a body too.
        session.auth = (
            _unchanged  # Without one, requests replaces the header Authorization by an entry of ~/.netrc.
        )
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=retry))
        return session


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def message_of(response: requests.Response) -> str:
    """Return what the registry says in *response*, as a line of an error; "" if it says nothing."""
    text = clean(response.text[:_LONGEST_MESSAGE])
    return f"the registry said: {text}" if text.strip() else ""
