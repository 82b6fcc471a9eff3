"""What is measured: small functions by theme, and one table (:mod:`bench.cases.table`) that names them all."""
