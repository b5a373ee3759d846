"""What the service remembers: tables, migrations, and the few questions that are asked of them."""
