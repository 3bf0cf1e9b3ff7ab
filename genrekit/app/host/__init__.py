"""The server: start and stop, the gate before Streamlit, probes, compression, memory."""
