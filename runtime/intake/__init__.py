"""Intake: signed requests become durable events and user records. It understands shapes; it decides nothing."""
