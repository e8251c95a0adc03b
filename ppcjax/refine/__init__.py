"""What turns scores into better scores once a network has spoken."""
