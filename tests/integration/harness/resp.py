"""
RESP: what a server reads and says on the wire of Redis, version 2.
"""


def bulk(data):
    return b"$%d\r\n%s\r\n" % (len(data), data)


def push(channel, payload):
    return b"*3\r\n$7\r\nmessage\r\n" + bulk(channel) + bulk(payload)


def subscribed(channel, count):
    return b"*3\r\n$9\r\nsubscribe\r\n" + bulk(channel) + b":%d\r\n" % count


def unsubscribed(channel):
    return b"*3\r\n$11\r\nunsubscribe\r\n" + bulk(channel) + b":0\r\n"


def read_command(lines):
    """The words of one, or None at the end. Gateways speak arrays of bulk strings only."""
    head = lines.readline()
    if not head.startswith(b"*"):
        return None
    words = []
    for _ in range(int(head[1:])):
        length = int(lines.readline()[1:])
        words.append(lines.read(length + 2)[:-2])
    return words
