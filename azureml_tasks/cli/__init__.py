"""What only Invoke needs: options, collections, and how a task ends."""
