"""Text messages: the vendors, and what they have in common: numbers, templates, replies, rules."""
