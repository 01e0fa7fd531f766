"""
Conformance: what RFC 6455 and RFC 7692 demand of a server on the wire, as tables of cases, one module for each subject.

The sections are numbered as in the Autobahn test suite, so that whoever knows it finds a case again; the cases are written after
the RFCs. test_conformance.py runs them.
"""
