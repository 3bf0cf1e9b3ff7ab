"""The neuron and the small network of the Learn pages, and a run that can be stepped through."""
