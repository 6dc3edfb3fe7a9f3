"""Trusted documents: the operations that a frontend was built with, known by an id."""

import hashlib
import json
from pathlib import Path
from typing import Any

from dicom_graph.error_codes import ErrorCode
from dicom_graph.settings import SettingsError


class Documents:
    """The documents that clients may name instead of sending them."""

    def __init__(self, by_id: dict[str, str]) -> None:
        """`by_id`: an id that the frontend's build made, often the SHA-256, and the document."""
        self.texts = frozenset(by_id.values())
        self._by_id = by_id | {_sha256(text): text for text in self.texts}

    @classmethod
    def load(cls, path: Path) -> "Documents":
        """Those of a JSON file `{id: document}`. Raises SettingsError."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is not JSON"
            raise _wrong(f"{path} cannot be read: {reason}") from None
        if not isinstance(content, dict) or not all(isinstance(v, str) for v in content.values()):
            raise _wrong(f"{path} is not a JSON object of ids and documents")
        return cls(content)

    def put_query(self, request: Any) -> None:
        """Fill in the `query` of a request that names its document by `documentId`, or by
        `extensions.persistedQuery.sha256Hash`; an unknown one stays without.
        """
        if not isinstance(request, dict) or request.get("query"):
            return
        extensions = request.get("extensions")
        persisted = extensions.get("persistedQuery") if isinstance(extensions, dict) else None
        digest = persisted.get("sha256Hash") if isinstance(persisted, dict) else None
        for id in (request.get("documentId"), digest):
            if isinstance(id, str):
                text = self._by_id.get(id) or self._by_id.get(id.removeprefix("sha256:"))
                request["query"] = text or ""


class DocumentMissing(Exception):
    """A request names its document instead of sending it, and there is none of that name.

    Of a persisted query it says so in the words that Apollo's clients wait for, with status 200,
    so that they send the document.
    """

    def __init__(self, message: str, code: ErrorCode, status: int = 200) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


def require_document(request: Any, documents: Documents | None) -> None:
    """Raises DocumentMissing where a request has no document, but the name of one."""
    if not isinstance(request, dict) or request.get("query"):
        return
    extensions = request.get("extensions")
    if isinstance(extensions, dict) and extensions.get("persistedQuery") is not None:
        if documents is None:
            code = ErrorCode.PERSISTED_QUERY_NOT_SUPPORTED
            raise DocumentMissing("PersistedQueryNotSupported", code)
        raise DocumentMissing("PersistedQueryNotFound", ErrorCode.PERSISTED_QUERY_NOT_FOUND)
    if request.get("documentId") is not None:
        message = "no trusted document has this id (DICOM_GRAPH_TRUSTED_DOCUMENTS)"
        raise DocumentMissing(message, ErrorCode.UNTRUSTED_DOCUMENT, 400)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _wrong(message: str) -> SettingsError:
    return SettingsError(f"DICOM_GRAPH_TRUSTED_DOCUMENTS: {message}")
