"""Service items (服务事项): what can be asked for, with the guide of each, in versions."""
