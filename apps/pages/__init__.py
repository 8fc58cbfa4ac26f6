"""What HTML pages of every app share: decorators, paging, ordering, states, downloads. No pages of its own."""
