"""Workloads for tests only, found through ``$EFFICIENCY_LAB_WORKLOADS=tests.demo_workloads``."""
