"""The database: engine, models, migrations, queries. Imports nothing of `studio`."""
