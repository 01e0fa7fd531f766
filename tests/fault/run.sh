#!/usr/bin/env bash
#
# Breaks things while clients listen, and checks that every loss was repaired or announced.
#
#   tests/fault/run.sh                 every fault, with its figures
#   tests/fault/run.sh --short         smaller crowds, shorter runs
#   tests/fault/run.sh f1 f4b          only these
#
# Promises: a table of what was to be reached and what was; ends with 0 only if all of it was reached. Everything it
# starts is on the loopback and is gone when it ends.
# Refuses: to build. It takes TIDEGATE_BIN, or build/tidegate (deploy/build.sh).

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
exec /usr/bin/python3 -B faults.py "$@"
