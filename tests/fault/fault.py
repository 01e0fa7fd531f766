"""
A fault and its control: what the modules with faults hand to the runner.
"""


class Control:
    """
    The same fault with a mechanism left out: `misses` begins or is part of the figure that must then be missed.

    Either `off` names what the gateways leave out (src/core/fault_off.def; a binary built with -Dfault_controls=true), or
    the keywords are handed to the fault, which does without the mechanism in its own way. full_only: not with --short.
    """

    def __init__(self, without, misses, off="", full_only=False, **given):
        self.without, self.misses, self.off, self.full_only, self.given = without, misses, off, full_only, given


class Fault:
    """`given` goes to run(bench, …). full_only: too long for --short."""

    def __init__(self, name, run, *controls, full_only=False, **given):
        self.name, self.run, self.controls, self.given = name, run, controls, given
        self.full_only = full_only

    @property
    def sentence(self):
        return self.run.__doc__.strip().splitlines()[0]
