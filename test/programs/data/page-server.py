"""Serves the page of the chromium case on the loopback: page-server.py PAGE PORT-FILE

The page has an image /wait, which is answered only after the page has fetched /done.  So the
browser sees the page as loaded when its scripts have done their work, and not before.
"""

import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PIXEL = (b'<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1">'
         b'<rect width="1" height="1"/></svg>')


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    page = b''
    done = threading.Event()

    def answer(self, kind, body):
        self.send_response(200)
        self.send_header('Content-Type', kind)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == '/page':
            Handler.done.clear()
            self.answer('text/html; charset=utf-8', self.page)
        elif self.path == '/wait':
            Handler.done.wait(60)
            self.answer('image/svg+xml', PIXEL)
        elif self.path == '/done':
            Handler.done.set()
            self.answer('text/plain', b'done')
        elif self.path.startswith('/bytes/'):
            self.answer('application/octet-stream', b'b' * int(self.path[7:]))
        else:
            self.send_error(404)

    def log_message(self, *arguments):
        pass


def main():
    page, port_file = sys.argv[1:]
    with open(page, 'rb') as file:
        Handler.page = file.read()
    server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    server.daemon_threads = True
    with open(port_file + '.new', 'w', encoding='ascii') as file:
        file.write(str(server.server_port))
    os.rename(port_file + '.new', port_file)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server.serve_forever()


main()
