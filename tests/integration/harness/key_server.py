"""
Key server: where the public keys of an issuer are fetched. It can be in many moods.
"""

import http.server
import json
import ssl
import threading


class KeyServer:
    """Answers each GET as `mood` says, a function of the handler. Keys are issuers (tokens.py), or JWKs."""

    def __init__(self, keys=(), port=0, tls=None):
        self.asked, self.paths, self.mood, self.headers = 0, [], None, {}
        self.publish(*keys)
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                owner.asked += 1
                owner.paths.append(self.path)
                try:
                    (owner.mood or owner.answer)(self)
                except OSError:
                    pass  # the gateway has hung up

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *_):
                pass  # a client that does not believe us

        self.server = Server(("127.0.0.1", port), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}/keys"
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def publish(self, *keys):
        self.body = json.dumps({"keys": [key if isinstance(key, dict) else key.jwk() for key in keys]}).encode()

    # Moods

    def answer(self, handler, body=None, status=200):
        body = self.body if body is None else body
        handler.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **self.headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    def fail(self, handler):
        self.answer(handler, b"{}", 500)

    def redirect(self, handler):
        handler.send_response(302)
        handler.send_header("Location", f"http://127.0.0.1:{self.port}/elsewhere")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    def dribble(self, handler):
        """A byte now and then, for ever."""
        handler.send_response(200)
        handler.end_headers()
        while not self.stopping.wait(0.2):
            handler.wfile.write(b" ")
            handler.wfile.flush()

    def endless(self, handler):
        handler.send_response(200)
        handler.end_headers()
        while not self.stopping.is_set():
            handler.wfile.write(b" " * 65536)

    def say(self, text):
        self.mood = lambda handler: self.answer(handler, text)

    def stop(self):
        self.stopping.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)

