"""Where the work is done: processes that may die, the pool that replaces them, and the runner that feeds it."""
