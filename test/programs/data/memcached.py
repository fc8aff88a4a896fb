"""Clients for the memcached case: memcached.py SOCKET OPERATIONS

Each thread sets, gets, appends, increments and deletes its own keys and checks every answer
against a dictionary.  The server may have evicted a key: then it must be gone, not wrong.
"""

import hashlib
import random
import socket
import sys
import threading

CLIENTS = 16


class Client:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.file = self.socket.makefile('rb')

    def ask(self, request):
        self.socket.sendall(request)
        return self.file.readline()

    def store(self, command, key, value):
        return self.ask(b'%s %s 0 0 %d\r\n%s\r\n' % (command, key, len(value), value))

    def get(self, key):
        line = self.ask(b'get %s\r\n' % key)
        if line == b'END\r\n':
            return None
        value = self.file.read(int(line.split()[3]))
        if self.file.read(2) != b'\r\n' or self.file.readline() != b'END\r\n':
            raise ValueError('a broken answer')
        return value


def value_of(rng):
    size = rng.choice((10, 100, 1000, 9000, 60000)) + rng.randrange(50)
    return hashlib.sha256(rng.randbytes(8)).hexdigest().encode() * (size // 64 + 1)


def work(path, number, operations, results):
    rng = random.Random(number)
    client = Client(path)
    known = {}
    wrong = 0
    for _ in range(operations):
        key = b'key-%d-%d' % (number, rng.randrange(300))
        action = rng.randrange(10)
        if action < 3:
            value = value_of(rng)
            wrong += client.store(b'set', key, value) != b'STORED\r\n'
            known[key] = value
        elif action < 4:
            tail = rng.randbytes(20).hex().encode()
            if client.store(b'append', key, tail) == b'STORED\r\n':
                known[key] += tail
            else:
                known.pop(key, None)
        elif action < 5:
            client.ask(b'delete %s\r\n' % key)
            known.pop(key, None)
        else:
            value = client.get(key)
            wrong += value is not None and value != known.get(key)
    client.ask(b'set counter-%d 0 0 1\r\n0\r\n' % number)
    for _ in range(500):
        count = client.ask(b'incr counter-%d 3\r\n' % number)
    results[number] = (wrong, count.strip().decode())


def main():
    path, operations = sys.argv[1], int(sys.argv[2])
    results = [None] * CLIENTS
    threads = [threading.Thread(target=work, args=(path, n, operations, results))
               for n in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, result in enumerate(results):
        print(number, result)
    client = Client(path)
    client.ask(b'flush_all\r\n')
    print('after flush_all', client.get(b'counter-1'))
    return any(result is None or result[0] for result in results)


sys.exit(main())
