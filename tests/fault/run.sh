#!/usr/bin/env bash
#
# Breaks things while clients listen, and checks that every loss was repaired or announced.
#
#   tests/fault/run.sh                 every fault, with its control runs and its figures
#   tests/fault/run.sh --short         smaller crowds, shorter runs
#   tests/fault/run.sh f1 f4b          only these
#   tests/fault/run.sh --no-controls   what is promised, and not whether the test could tell
#
# Promises: a table of what was to be reached and what was; ends with 0 only if all of it was reached. Everything it
# starts is on the loopback or in a namespace of its own, and is gone when it ends.
# Refuses: to build what is tried. It takes TIDEGATE_BIN, or build/tidegate (deploy/build.sh). Only the binary of
# the control runs, whose mechanisms can be switched off, it builds itself into build-fault, unless TIDEGATE_FAULT_BIN
# names one.

set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
if [ -z "${TIDEGATE_FAULT_BIN:-}" ] && [[ " $* " != *" --no-controls "* ]] && [[ " $* " != *" --help "* ]]; then
	"$here/../../deploy/build.sh" build-fault -Dtests=disabled -Dfault_controls=true
fi
exec /usr/bin/python3 -B "$here/faults.py" "$@"
