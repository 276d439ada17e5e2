"""A small client of the Language Server Protocol: enough to be an editor with one file open."""

import json
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SETTINGS = {"yaml": {"validate": True, "hover": True, "completion": True, "schemaStore": {"enable": False}, "format": {"enable": False}}}


class LanguageServer:
    """A running server; requests are answered in order, what it asks of the editor is answered on the way."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self.process, self.folder, self.number, self.files = process, folder, 0, 0
        self._request("initialize", {"processId": None, "rootUri": folder.as_uri(), "capabilities": CAPABILITIES})
        self._notify("initialized", {})
        self._notify("workspace/didChangeConfiguration", {"settings": SETTINGS})

    def diagnostics(self, text: str) -> list[dict[str, Any]]:
        """Open a new file with this text and wait for what the server says of it."""
        uri = self._open(text)
        while True:
            message = self._read()
            if message.get("method") == "textDocument/publishDiagnostics" and message["params"]["uri"] == uri:
                return message["params"]["diagnostics"]

    def completion(self, text: str) -> list[dict[str, Any]]:
        """What is offered at the │ of a text."""
        answer = self._request("textDocument/completion", self._at_the_bar(text))
        return answer["items"] if isinstance(answer, dict) else answer or []

    def hover(self, text: str) -> str:
        """What is shown for the word at the │ of a text; empty for nothing."""
        answer = self._request("textDocument/hover", self._at_the_bar(text))
        return answer["contents"]["value"] if answer else ""

    def _open(self, text: str) -> str:
        self.files += 1
        uri = (self.folder / f"file{self.files}.yaml").as_uri()
        self._notify("textDocument/didOpen", {"textDocument": {"uri": uri, "languageId": "yaml", "version": 1, "text": text}})
        return uri

    def _at_the_bar(self, text: str) -> dict[str, Any]:
        before, _, after = text.partition("│")
        line = before.count("\n")
        character = len(before) - (before.rfind("\n") + 1)
        return {"textDocument": {"uri": self._open(before + after)}, "position": {"line": line, "character": character}}

    def _request(self, method: str, params: Any) -> Any:
        self.number += 1
        self._write({"jsonrpc": "2.0", "id": self.number, "method": method, "params": params})
        while True:
            message = self._read()
            if message.get("id") == self.number and "method" not in message:
                assert "error" not in message, message["error"]
                return message.get("result")

    def _notify(self, method: str, params: Any) -> None:
        self._write({"jsonrpc": "2.0", "method": method, "params": params})

    def _write(self, message: dict[str, Any]) -> None:
        body = json.dumps(message).encode()
        assert self.process.stdin is not None
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.process.stdin.flush()

    def _read(self) -> dict[str, Any]:
        """The next message that is for the editor to see; the server's own requests are answered here."""
        assert self.process.stdout is not None
        while True:
            length = 0
            while (line := self.process.stdout.readline().strip()) or not length:
                assert line or self.process.poll() is None, "the language server ended"
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            message = json.loads(self.process.stdout.read(length))
            if "id" not in message or "method" not in message:
                return message
            asked = message["params"].get("items", [None]) if message["method"] == "workspace/configuration" else []
            found = [SETTINGS.get((item or {}).get("section", ""), {}) for item in asked]
            self._write({"jsonrpc": "2.0", "id": message["id"], "result": found or None})


CAPABILITIES = {
    "textDocument": {
        "synchronization": {},
        "completion": {"completionItem": {"snippetSupport": True, "documentationFormat": ["markdown"]}},
        "hover": {"contentFormat": ["markdown"]},
        "publishDiagnostics": {},
    },
    "workspace": {"configuration": True, "workspaceFolders": False},
}


@contextmanager
def language_server(command: list[str], folder: Path):
    """The server over stdio, with an editor whose folder this is."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=folder)
    try:
        yield LanguageServer(process, folder)
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            pipe.close()
