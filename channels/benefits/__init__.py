"""Benefits: what a `grant` step hands out, by WeChat Pay or by a service of the operator's own."""
