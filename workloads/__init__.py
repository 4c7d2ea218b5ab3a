"""Experiments of the lab, one package each (see the README, "Adding a workload")."""
