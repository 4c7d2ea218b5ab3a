"""A workload without torch that measures nothing and can end in every way a run can end."""
