"""What the tests stand on: real processes, raw sockets, deadlines. No test lives here."""
