"""A blind comparison of two methods by people: the page that asks, and what the votes say."""
