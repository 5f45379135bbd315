"""What a recording's own frames say against how it is written: numbers only (`workflows.doctoring` collects them)."""
