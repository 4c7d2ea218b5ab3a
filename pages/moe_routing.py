"""MoE routing entropy: Egyptian weights, and many small experts against few large ones."""

from lab.ui import experiment_page

experiment_page.show("moe_routing")
