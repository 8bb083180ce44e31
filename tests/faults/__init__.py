"""Bad input and faults: a line for each, made when the test runs, and the one line that a user is to read."""
