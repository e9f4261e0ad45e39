"""The actor runtime and the durable store: nothing here knows of trading, channels or HTTP."""
