"""The demo workload with a section that evaluates its stored records anew."""
