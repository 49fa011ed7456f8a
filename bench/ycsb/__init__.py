"""YCSB, the Yahoo! Cloud Serving Benchmark, for embedded engines.

Workloads A-F, keys, request distributions and the insert window follow YCSB's core workload in Java;
tests hold them to its constants. What differs is told in `bench/README.md`.
"""
