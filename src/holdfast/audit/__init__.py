"""What an auditor does with a ledger: plain files in, verdicts out. Knows the pure core, and neither server nor client.

With `holdfast.core` and the library cryptography this is all that the stand-alone verifier is made of.
"""
