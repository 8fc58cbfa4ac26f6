"""Network diagrams and time charts, drawn from inventory, topology and telemetry. No models, no pages."""
