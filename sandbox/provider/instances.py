"""Finds the account of a call. The engine's calls do not name their provider instance, their connections do.

The engine opens one connection for each provider instance, and Configure, which has region and profile, comes through
it before anything else (`plugin.NewProvider` of Pulumi's SDK). A call on a connection without one is refused.
"""

from __future__ import annotations

import json
import threading

from sandbox.provider.access import account_of
from sandbox.provider.base import Account, Properties


class NotConfiguredError(Exception):
    """A call came before its provider instance was configured, or through another connection."""


class Instances:
    """Accounts by connection. Safe for threads."""

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}
        self._known: dict[str, Account] = {}
        self._lock = threading.Lock()

    def configure(self, peer: str, config: Properties) -> Account:
        """Store the account of a connection. Raises `AccessError` for credentials of another account.

        An engine that comes again with the same configuration and key gets the same clients. Each set of them holds
        the models of all services, and a test starts dozens of engines.
        """
        account = account_of(config)
        key = json.dumps([config, account.access_key_id], sort_keys=True)
        with self._lock:
            self._accounts[peer] = account = self._known.setdefault(key, account)
        return account

    def of(self, peer: str) -> Account:
        """Return the account of a connection. Raises `NotConfiguredError`."""
        with self._lock:
            account = self._accounts.get(peer)
        if account is None:
            raise NotConfiguredError("this connection's provider instance was never configured")
        return account
