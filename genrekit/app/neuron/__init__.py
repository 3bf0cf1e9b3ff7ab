"""The neuron page."""
