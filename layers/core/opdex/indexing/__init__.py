"""What an embed worker does: one slice of one job after another."""
