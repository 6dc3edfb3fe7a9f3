"""A client for notebooks and scripts: series as rows, tables, volumes and images as arrays.

It needs nothing else of this package, and `pip install '.[client]'` in a clone of it.
"""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import httpx
    import pandas
    import pyarrow
    from gql import Client as GraphQLClient

Json = dict[str, Any]
DEFAULT_FIELDS = (
    "uid number description date time modality manufacturer manufacturerModelName protocolName "
    "echoTime repetitionTime inversionTime flipAngle sliceThickness pixelSpacing nImages "
    "patient { uid } study { uid date description }"
)
"""What `Client.series` asks for of a series."""
_PAGE = 500
_BYTES, _DICOM_JSON, _PARQUET = (
    f"application/{name}" for name in ("octet-stream", "dicom+json", "vnd.apache.parquet")
)
_TABLES = ("patients", "studies", "series", "images", "elements")
_SERIES = """query ($filter: SeriesFilter, $after: String, $first: Int!) {
  series(filter: $filter, after: $after, first: $first) {
    nodes { %s } pageInfo { endCursor hasNextPage }
  }
}"""
_VOLUME = """query ($uid: String!) {
  seriesByUid(uid: $uid) {
    volumes { stack affine spacing axes orientation warnings npyUrl }
  }
}"""
_HEADER = """query ($uid: String!) {
  imageByUid(uid: $uid) { header { elements { tag keyword name value display } } }
}"""


class ClientError(Exception):
    """What the server said no to; `code` as it gave it."""

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class Volume(np.ndarray[Any, np.dtype[Any]]):
    """An array (columns, rows, slices, …) with its place in the patient.

    `affine`: 4 × 4, from indexes to mm, RAS+ as in NIfTI; `spacing`: mm along the first three axes;
    `axes`: the name of each axis; `warnings`: what is doubtful. A part or a copy has none of them.
    """

    affine: NDArray[np.float64] | None = None
    spacing: tuple[float, ...] | None = None
    axes: tuple[str, ...] | None = None
    orientation: str | None = None
    warnings: tuple[str, ...] | None = None


class Client:
    """Asks a server, by its address such as `http://127.0.0.1:8000`.

    `token` is sent as `Authorization: Bearer`. Raises ClientError for what the server refuses, and
    for a server that cannot be reached or is none of ours: then it has no `code`.
    """

    def __init__(self, url: str, token: str | None = None, *, timeout: float = 300.0) -> None:
        parts = urlsplit(url)
        self._path = parts.path.rstrip("/").removesuffix("/graphql")
        self._url = f"{parts.scheme}://{parts.netloc}{self._path}"
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._graphql, self._http = _connected(self._url, headers, timeout)

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def execute(self, query: str, variables: Mapping[str, Any] | None = None) -> Json:
        """The data of a GraphQL operation."""
        from gql import GraphQLRequest
        from gql.transport.exceptions import TransportError, TransportQueryError
        from graphql import GraphQLError

        try:
            request = GraphQLRequest(query, variable_values=dict(variables or {}))
        except GraphQLError as error:
            raise ClientError(str(error), "BAD_OPERATION") from None
        with self._read_as_ours():
            try:
                return dict(self._graphql.execute(request))
            except TransportQueryError as refused:
                first = (refused.errors or [{}])[0]
                code = (first.get("extensions") or {}).get("code")
                raise ClientError(first.get("message") or str(refused), code) from None
            except TransportError as failure:
                raise self._unanswered(failure) from None

    def series(
        self,
        filter: Mapping[str, Any] | None = None,
        fields: str | Sequence[str] = DEFAULT_FIELDS,
        *,
        as_frame: bool = False,
    ) -> "list[Json] | pandas.DataFrame":
        """All series that a filter (a SeriesFilter) lets through, from all pages.

        `fields` is a selection of GraphQL's. `as_frame`: a pandas frame, nested fields as
        `study.date`.
        """
        rows = list(self._series(filter, fields if isinstance(fields, str) else " ".join(fields)))
        if not as_frame:
            return rows
        try:
            import pandas
        except ImportError:
            raise ImportError("as_frame needs pandas: pip install pandas") from None
        return pandas.json_normalize(rows)

    def table(
        self,
        name: str = "series",
        columns: Sequence[str] | None = None,
        filter: Mapping[str, Any] | None = None,
        *,
        elements: Mapping[str, Any] | None = None,
    ) -> "pyarrow.Table":
        """A table as pyarrow has it, of `patients`, `studies`, `series`, `images` or `elements`.

        `columns`: fields (`nImages`, `study.date`) and elements (`EchoTime`, `(0019,xx9C)`), and no
        others; without, those of every such table. `filter`: which rows, as GraphQL filters them;
        of `elements` which images, and `elements` which elements. From it come frames:
        `.to_pandas()`, `polars.from_arrow()`.
        """
        try:
            import pyarrow.parquet
        except ImportError:
            raise ImportError("tables need pyarrow: pip install pyarrow") from None
        if name not in _TABLES:
            raise ClientError(f"the tables are {', '.join(_TABLES)}, not {name!r}", "BAD_INPUT")
        given: dict[str, Any] = {"column": list(columns or ())} if name != "elements" else {}
        for key, value in (("filter", filter), ("elements", elements)):
            if value is not None:
                given[key] = json.dumps(value)
        content = self._get(f"/{name}.parquet", _PARQUET, given).content
        with self._read_as_ours():
            found = pyarrow.parquet.read_table(pyarrow.BufferReader(content))
        return found if columns is None else found.select(list(columns))

    def volume(self, uid: str, stack: int | None = None) -> Volume:
        """A volume of a series. `stack` says which where it makes several."""
        series = self._field(_VOLUME, {"uid": uid}, "seriesByUid")
        if series is None:
            raise ClientError(f"no series has the UID {uid!r}", "NOT_FOUND")
        found = series["volumes"]
        if stack is None and len(found) > 1:
            raise ClientError(
                f"the series makes {len(found)} volumes: choose one by `stack`", "SEVERAL_STACKS"
            )
        if not 0 <= (stack or 0) < len(found):
            raise ClientError(f"the series makes {len(found)} volumes, from 0", "OUT_OF_RANGE")
        about = found[stack or 0]
        volume = self._array(about["npyUrl"]).view(Volume)
        volume.affine = np.array(about["affine"])
        volume.spacing = tuple(about["spacing"])
        volume.axes = tuple(about["axes"])
        volume.orientation = about["orientation"]
        volume.warnings = tuple(about["warnings"])
        return volume

    def image(self, uid: str) -> NDArray[Any]:
        """The pixels of an image: (frames, rows, columns), and 3 more for colour; rescaled."""
        return self._array(f"/images/{quote(uid, safe='')}.npy")

    def header(self, uid: str) -> Json:
        """An image's header in the DICOM JSON Model, which pydicom's `Dataset.from_json` reads."""
        answer = self._get(f"/images/{quote(uid, safe='')}/header.json", _DICOM_JSON)
        with self._read_as_ours():
            return dict(answer.json())

    def header_series(self, uid: str, *, verbose: bool = False) -> "pandas.Series[Any]":
        """An image's header as a pandas Series: values by keyword, in the order of tags; private
        elements by tag. `verbose`: texts as people read them, by the elements' names.
        """
        try:
            import pandas
        except ImportError:
            raise ImportError("header_series needs pandas: pip install pandas") from None
        image = self._field(_HEADER, {"uid": uid}, "imageByUid")
        if image is None:
            raise ClientError(f"no image has the UID {uid!r}", "NOT_FOUND")
        if image["header"] is None:
            raise ClientError("the image was imported without its header", "NOT_FOUND")
        elements = image["header"]["elements"]
        names = [
            element["name"] if verbose else element["keyword"] or element["tag"]
            for element in elements
        ]
        values = [element["display" if verbose else "value"] for element in elements]
        return pandas.Series(values, index=names, name=uid, dtype=object)

    def _series(self, filter: Mapping[str, Any] | None, fields: str) -> Iterator[Json]:
        query, after = _SERIES % fields, None
        while True:
            variables = {"filter": filter, "after": after, "first": _PAGE}
            page = self._field(query, variables, "series")
            with self._read_as_ours():
                nodes, info = page["nodes"], page["pageInfo"]
                after = info["endCursor"] if info["hasNextPage"] else None
            yield from nodes
            if after is None:
                return

    def _field(self, query: str, variables: Json, name: str) -> Any:
        found = self.execute(query, variables)
        with self._read_as_ours():
            return found[name]

    def _array(self, address: str) -> NDArray[Any]:
        content = io.BytesIO(self._get(address, _BYTES).content)
        with self._read_as_ours():
            array: NDArray[Any] = np.load(content, allow_pickle=False)
        return array

    def _get(
        self, address: str, media_type: str, parameters: Mapping[str, Any] | None = None
    ) -> "httpx.Response":
        """Returns the response of an address; another media type is an error (ClientError)."""
        from httpx import TransportError

        try:
            url = self._url + address.removeprefix(self._path)
            answer = self._http.get(url, params=parameters)
        except TransportError as failure:
            raise self._unanswered(failure) from None
        found = answer.headers.get("content-type", "nothing that it names").partition(";")[0]
        if answer.is_success and found != media_type:
            raise self._foreign(f"{found} in place of {media_type}")
        if answer.is_success:
            return answer
        try:
            error = answer.json()["errors"][0]
            message, code = error["message"], error["code"]
        except (ValueError, KeyError, TypeError, IndexError):
            message, code = f"the server answered {answer.status_code}", None
        raise ClientError(message, code)

    @contextmanager
    def _read_as_ours(self) -> Iterator[None]:
        """What goes wrong inside is a ClientError: gql and others raise what they like for answers
        that they do not expect.
        """
        try:
            yield
        except ClientError:
            raise
        except Exception as error:
            raise self._foreign(f"what cannot be read ({error or type(error).__name__})") from error

    def _foreign(self, given: str) -> ClientError:
        return ClientError(
            f"{self._url} gave {given}: is it dicom-graph, or does a proxy answer in its place?"
        )

    def _unanswered(self, error: Exception) -> ClientError:
        return ClientError(f"{self._url} gave no answer: {error or type(error).__name__}")


def _connected(
    url: str, headers: dict[str, str], timeout: float
) -> "tuple[GraphQLClient, httpx.Client]":
    try:
        import httpx
        from gql import Client as GraphQLClient
        from gql.transport.httpx import HTTPXTransport
    except ImportError:
        raise ImportError(
            "the client needs more packages: pip install '.[client]' in a clone of dicom-graph"
        ) from None
    transport = HTTPXTransport(f"{url}/graphql", headers=headers, timeout=timeout)
    http = httpx.Client(headers=headers, timeout=timeout)
    return GraphQLClient(transport=transport, execute_timeout=timeout), http
