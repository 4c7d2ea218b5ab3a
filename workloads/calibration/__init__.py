"""What this machine can do at most, and how far the lab's own figures can be trusted."""
