"""Runs the whole stack on this machine: embedded Postgres, the AWS emulator, and the real template deployed to it."""
