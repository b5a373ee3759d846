"""The bench: how a detector bears changed pictures, how two compare, and how one does on sources it has not seen."""
