"""WeChat and WeCom: subscribe messages of a mini-program, messages of a WeCom application, and group robots."""
