"""Sound as samples: decoded, composed, or degraded on purpose."""
