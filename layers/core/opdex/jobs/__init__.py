"""The job state machine: who may move a job from one state to the next, and the wake-ups that go with it."""
