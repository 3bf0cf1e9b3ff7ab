"""What a host needs: a container image, a proxy's configuration, and a trial of both replicas."""
