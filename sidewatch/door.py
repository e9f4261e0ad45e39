"""The door as the settings describe it: sockets, the address people open, and who may do what."""

from __future__ import annotations

import socket
from pathlib import Path

from config.settings import Settings
from web import server
from web.services import Access


def address(settings: Settings, sockets: list[socket.socket]) -> str:
    """Return the address that people open: the host as set, the port as bound."""
    host = settings.server.host
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{shown}:{sockets[0].getsockname()[1]}"


def access(settings: Settings, sockets: list[socket.socket]) -> Access:
    """Return who may do what, and from which hosts and origins."""
    auth, bounds = settings.auth, settings.server
    port = sockets[0].getsockname()[1]
    names = ["127.0.0.1", "localhost", "[::1]"]
    hosts = {f"{name}:{port}" for name in names} | {host.lower() for host in bounds.allowed_hosts}
    origins = {f"http://{name}:{port}" for name in names}
    for host in bounds.allowed_hosts:
        origins |= {f"http://{host.lower()}", f"https://{host.lower()}"}
    public = bounds.public_url.rstrip("/").lower()
    if public:
        hosts.add(public.partition("://")[2])
        origins.add(public)
    keys = [auth.hmac_key, auth.hmac_key_previous]
    revealed = {
        "read": auth.read_token,
        "ingest": auth.ingest_token,
        "operate": auth.operate_token,
    }
    assert auth.freqtrade_secret is not None
    return Access(
        tokens={scope: secret.reveal() for scope, secret in revealed.items() if secret},  # type: ignore[misc]
        hmac_keys=tuple(key.reveal().encode() for key in keys if key is not None),
        freqtrade_secret=auth.freqtrade_secret.reveal(),
        hosts=frozenset(hosts),
        origins=frozenset(origins),
        secure=public.startswith("https://"),
        behind_proxy=bounds.behind_proxy,
    )


def open_sockets(settings: Settings) -> list[socket.socket]:
    """Open what the settings ask for. Raises AddressError."""
    bounds = settings.server
    sockets = [server.listen(bounds.host, bounds.port)]
    if bounds.unix_socket:
        try:
            sockets.append(server.listen_unix(str(Path(bounds.unix_socket).expanduser())))
        except OSError:
            server.close(sockets)
            raise
    return sockets
