"""
RESP filter: takes single pushes out of what a Redis sends to a subscriber, and leaves all else as it is.

What is lost on a cluster's bus is lost like that: the connection stands, the confirmations and the probe pass, and an event
is missing.
"""


def value_end(data, at):
    """Where the value that begins at `at` ends, or None if it is not whole yet. RESP2, as Redis speaks it to us."""
    line_end = data.find(b"\r\n", at)
    if line_end < 0:
        return None
    kind, length, end = data[at:at + 1], data[at + 1:line_end], line_end + 2
    if kind == b"$" and length != b"-1":
        end += int(length) + 2
        return end if end <= len(data) else None
    if kind == b"*":
        for _ in range(max(0, int(length))):
            end = value_end(data, end)
            if end is None:
                return None
    return end


class PushFilter:
    """Of one connection. Swallows messages of channels with this prefix while thinner.swallows."""

    def __init__(self, thinner):
        self.thinner = thinner
        self.pending = b""

    def __call__(self, data):
        self.pending += data
        passed, at = [], 0
        while True:
            end = value_end(self.pending, at)
            if end is None:
                break
            value = self.pending[at:end]
            if self.thinner.swallows and value.startswith(self.thinner.start) and self.thinner.prefix in value[:64]:
                self.thinner.n_swallowed += 1
            else:
                passed.append(value)
            at = end
        self.pending = self.pending[at:]
        return b"".join(passed)


class Thinner:
    """What all connections through one proxy share: `TcpProxy(port, thinner.filter)`."""

    start = b"*3\r\n$7\r\nmessage\r\n"

    def __init__(self, prefix):
        self.prefix = prefix
        self.swallows = False
        self.n_swallowed = 0

    def filter(self):
        return PushFilter(self)
