"""A DynamoDB table in memory: `python -m bench.harness.servers.table PORT [CERTIFICATE]`.

It replaces DynamoDB Local, whose licence is the vendor's own, and for open servers that take longer per request
than the worker (docs/decisions/2026-11-28-benchmark-servers.md). The ledger's contract tests run against it. It checks
no signatures and keeps nothing.
"""

from __future__ import annotations

import asyncio
import gc
import json
import re
import sys
import zlib
from collections.abc import Callable
from typing import Any, cast

from bench.harness.authority import server_context
from bench.harness.servers.expressions import ExpressionError, Item, matches, update

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TARGET = re.compile(rb"\r\nx-amz-target: *[^.\r]*\.(\w+)", re.IGNORECASE)
_PAGE = 1000


class TableError(Exception):
    """An error of the API."""

    def __init__(self, code: str, text: str, item: Item | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.item = item


class Table:
    """Items by the value of their hash key."""

    def __init__(self, given: dict[str, Any]) -> None:
        schemas = {index["IndexName"]: index["KeySchema"] for index in given.get("GlobalSecondaryIndexes", ())}
        self.key = _hash_key(given["KeySchema"])
        self.indexes = {name: _hash_key(schema) for name, schema in schemas.items()}
        self.sorts = {name: _range_key(schema) for name, schema in schemas.items()}
        self.items: dict[str, Item] = {}

    def of(self, given: Item) -> str:
        """Return the hash key of an item or a key."""
        return str(given[self.key]["S"])


class Tables:
    """The API's operations over all tables."""

    def __init__(self) -> None:
        self._tables: dict[str, Table] = {}
        self._operations: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "CreateTable": self._create,
            "DeleteTable": self._delete_table,
            "DescribeTable": self._describe,
            "GetItem": self._get,
            "BatchGetItem": self._get_many,
            "PutItem": self._put,
            "UpdateItem": self._update,
            "DeleteItem": self._delete,
            "Query": self._query,
        }

    def answer(self, operation: str, given: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Return status and body of an answer."""
        try:
            return 200, self._operations[operation](given)
        except TableError as error:
            body = {"__type": f"com.amazonaws.dynamodb.v20120810#{error.code}", "message": str(error)}
            return 400, body | ({"Item": error.item} if error.item else {})
        except (KeyError, ExpressionError) as error:
            body = {"__type": "com.amazon.coral.validate#ValidationException", "message": f"{operation}: {error}"}
            return 400, body

    def _table(self, given: dict[str, Any]) -> Table:
        table = self._tables.get(given["TableName"])
        if table is None:
            raise TableError("ResourceNotFoundException", "Requested resource not found")
        return table

    def _create(self, given: dict[str, Any]) -> dict[str, Any]:
        if given["TableName"] in self._tables:
            raise TableError("ResourceInUseException", f"Table already exists: {given['TableName']}")
        self._tables[given["TableName"]] = Table(given)
        return self._describe(given, "TableDescription")

    def _delete_table(self, given: dict[str, Any]) -> dict[str, Any]:
        self._table(given)
        del self._tables[given["TableName"]]
        return {}

    def _describe(self, given: dict[str, Any], name: str = "Table") -> dict[str, Any]:
        self._table(given)
        return {name: {"TableName": given["TableName"], "TableStatus": "ACTIVE"}}

    def _get(self, given: dict[str, Any]) -> dict[str, Any]:
        table = self._table(given)
        item = table.items.get(table.of(given["Key"]))
        return {} if item is None else {"Item": item}

    def _get_many(self, given: dict[str, Any]) -> dict[str, Any]:
        found = {}
        for name, asked in given["RequestItems"].items():
            table = self._table({"TableName": name})
            found[name] = [item for key in asked["Keys"] if (item := table.items.get(table.of(key))) is not None]
        return {"Responses": found, "UnprocessedKeys": {}}

    def _put(self, given: dict[str, Any]) -> dict[str, Any]:
        table, item = self._table(given), given["Item"]
        self._check(given, table, table.of(item))
        table.items[table.of(item)] = item
        return {}

    def _update(self, given: dict[str, Any]) -> dict[str, Any]:
        table = self._table(given)
        key = table.of(given["Key"])
        self._check(given, table, key)
        item = dict(table.items.get(key, given["Key"]))
        update(
            given["UpdateExpression"],
            item,
            given.get("ExpressionAttributeValues", {}),
            given.get("ExpressionAttributeNames", {}),
        )
        table.items[key] = item
        return {}

    def _delete(self, given: dict[str, Any]) -> dict[str, Any]:
        table = self._table(given)
        key = table.of(given["Key"])
        self._check(given, table, key)
        table.items.pop(key, None)
        return {}

    def _query(self, given: dict[str, Any]) -> dict[str, Any]:
        """Return the items of one hash key of an index, in the order of its range key."""
        table = self._table(given)
        index = given["IndexName"]
        names, values = given.get("ExpressionAttributeNames", {}), given.get("ExpressionAttributeValues", {})
        sort = table.sorts[index]
        found = [
            item
            for item in table.items.values()
            if table.indexes[index] in item and matches(given["KeyConditionExpression"], item, values, names)
        ]
        found.sort(key=lambda item: (float(item[sort]["N"]), table.of(item)))
        start = given.get("ExclusiveStartKey")
        if start is not None:
            position = (float(start[sort]["N"]), table.of(start))
            found = [item for item in found if (float(item[sort]["N"]), table.of(item)) > position]
        page = found[:_PAGE]
        if len(found) == len(page):
            return {"Items": page, "Count": len(page)}
        last = {name: page[-1][name] for name in (table.key, table.indexes[index], sort)}
        return {"Items": page, "Count": len(page), "LastEvaluatedKey": last}

    def _check(self, given: dict[str, Any], table: Table, key: str) -> None:
        condition = given.get("ConditionExpression")
        if condition is None:
            return
        item = table.items.get(key)
        names, values = given.get("ExpressionAttributeNames", {}), given.get("ExpressionAttributeValues", {})
        if not matches(condition, item or {}, values, names):
            old = item if given.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" else None
            raise TableError("ConditionalCheckFailedException", "The conditional request failed", old)


def _hash_key(schema: list[dict[str, str]]) -> str:
    return next(part["AttributeName"] for part in schema if part["KeyType"] == "HASH")


def _range_key(schema: list[dict[str, str]]) -> str:
    return next(part["AttributeName"] for part in schema if part["KeyType"] == "RANGE")


class _Connection(asyncio.Protocol):
    """HTTP/1.1 without pipelining."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[: end + 2]
            length, target = _LENGTH.search(head), _TARGET.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < whole:
                return
            body, self._buffer = self._buffer[end + 4 : whole], self._buffer[whole:]
            status, said = self._tables.answer(target[1].decode() if target else "", json.loads(body or b"{}"))
            out = json.dumps(said).encode()
            self._transport.write(
                b"HTTP/1.1 %d %s\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: %d\r\n"
                b"x-amz-crc32: %d\r\n\r\n%s"
                % (status, b"OK" if status == 200 else b"Bad Request", len(out), zlib.crc32(out), out)
            )


async def serve(port: int, certificate: str = "") -> asyncio.Server:
    """Listen on loopback, over TLS with a certificate."""
    tables = Tables()
    context = server_context(certificate) if certificate else None
    return await asyncio.get_running_loop().create_server(
        lambda: _Connection(tables), "127.0.0.1", port, ssl=context, backlog=1024
    )


async def _main(port: int, certificate: str = "") -> None:
    gc.freeze()
    server = await serve(port, certificate)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), *sys.argv[2:]))
