"""From forms on disk to the data contract, a module each."""
