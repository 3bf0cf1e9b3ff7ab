"""A trained model and all that its use needs: network, calibration, neighbours, measurements."""
