"""The peer: Debian's prometheus-alertmanager, tuned as fast as it goes, on loopback.

Each alert is a group of its own and waits for nothing (group_wait 0 s), repeats and resolved
messages are off. It runs by its own binary with its own configuration; no service is touched.
"""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

BINARY = "prometheus-alertmanager"
START_S = 20.0
CONFIG = """\
route:
  receiver: bench
  group_by: ['...']
  group_wait: 0s
  group_interval: 1s
  repeat_interval: 24h
receivers:
  - name: bench
    webhook_configs:
      - url: "{url}"
        send_resolved: false
"""


def version() -> str:
    """Return the installed version, "" where there is none."""
    path = shutil.which(BINARY)
    if path is None:
        return ""
    done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    words = (done.stdout or done.stderr).split()
    return words[words.index("version") + 1] if "version" in words else "of unknown version"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Alertmanager:
    """One process, while entered, that sends every alert to a webhook."""

    def __init__(self, folder: Path, webhook: str) -> None:
        self._folder = folder
        self._webhook = webhook

    def __enter__(self) -> Self:
        folder = self._folder
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "alertmanager.yml"
        config.write_text(CONFIG.format(url=self._webhook))
        port = _free_port()
        self._process = subprocess.Popen(
            [
                shutil.which(BINARY) or BINARY,
                f"--config.file={config}",
                f"--storage.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--cluster.listen-address=",
                "--log.level=error",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._link = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        self._wait_until_ready()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._link.close()
        self._process.terminate()
        self._process.wait(10)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_S
        while True:
            try:
                self._link.request("GET", "/-/ready")
                answer = self._link.getresponse()
                answer.read()
                if answer.status == http.client.OK:
                    return
            except OSError:
                self._link.close()
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError("Alertmanager does not start")
            time.sleep(0.05)

    def post(self, name: str) -> float:
        """Post one alert; return unix seconds of the moment before."""
        alert = {
            "labels": {"alertname": name, "severity": "warning", "bot": "native"},
            "annotations": {"summary": "Order rejected by the position limit"},
        }
        body = json.dumps([alert]).encode()
        at = time.time()
        self._link.request("POST", "/api/v2/alerts", body, {"Content-Type": "application/json"})
        answer = self._link.getresponse()
        text = answer.read()
        if answer.status != http.client.OK:
            raise RuntimeError(f"Alertmanager: {answer.status} {text[:200]!r}")
        return at
