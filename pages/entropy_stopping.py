"""Entropy early stopping: rules that stop a training, their energy and accuracy, against what people use."""

from lab.ui import experiment_page

experiment_page.show("entropy_stopping")
