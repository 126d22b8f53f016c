"""A stop button that is heard while Python is busy.

A widget's click waits until the running cell has ended, which is no use for stopping that cell. So this button's
click is a request to a server of a few lines on this machine, which runs beside the training and has one answer.
Colab passes such requests on to its machine. Where they do not arrive (a server far away), the button says to use
the notebook's own ■, which does the same.
"""

import html
import secrets
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import TracebackType

BUTTON = """<button style="padding: 0.3em 1em" onclick="{click}">{words}</button> <span></span>"""
CLICK = """
const button = this, reply = this.nextElementSibling;
button.disabled = true;
const colab = window.google && google.colab && google.colab.kernel;
const base = colab ? google.colab.kernel.proxyPort({port}) : Promise.resolve('http://127.0.0.1:{port}');
base.then((url) => fetch(url.replace(/\\/$/, '') + '/{token}', {{mode: 'no-cors', credentials: 'include'}}))
  .then(() => {{ reply.textContent = 'stopping after this round'; }})
  .catch(() => {{ reply.textContent = 'that did not arrive: press ■ in the toolbar instead'; }});
"""


class StopButton:
    """Use as a context: ``with StopButton("Stop") as stop: … if stop.pressed: …``. Show ``stop.html`` to the user."""

    def __init__(self, words: str = "Stop here and keep the best so far"):
        self._pressed = threading.Event()
        self._token = secrets.token_urlsafe(9)  # so that no other page can press it
        pressed, path = self._pressed, f"/{self._token}"

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path.partition("?")[0] == path:
                    pressed.set()
                    self.send_response(204)
                else:
                    self.send_response(404)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                """Say nothing: what it prints would land in the notebook."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        click = CLICK.format(port=self.port, token=self._token)
        self.html = BUTTON.format(click=html.escape(click), words=html.escape(words))

    @property
    def pressed(self) -> bool:
        return self._pressed.is_set()

    def __enter__(self) -> "StopButton":
        threading.Thread(target=self._server.serve_forever, name="stop button", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
