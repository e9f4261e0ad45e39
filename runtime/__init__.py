"""The actor runtime and the durable store; knows nothing of trading, channels or HTTP."""
