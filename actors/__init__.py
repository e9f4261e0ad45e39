"""What Sidewatch does: each capability an actor fed by typed messages."""
