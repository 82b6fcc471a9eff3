"""What an auditor does with a ledger: plain files in, verdicts out. Knows the pure core, and neither server nor client.

With `holdfast.core`, cryptography and rfc8785 this is all that the stand-alone verifier (`verifier/`) is made of.
"""
