"""How a command opens the store."""

from __future__ import annotations

import sys

from lab.store import Store


def opened() -> Store:
    """The store of this user; a damaged database that was set aside for it is told on stderr. Raises StoreError."""
    store = Store()
    if store.notice:
        print(store.notice, file=sys.stderr)
    return store
