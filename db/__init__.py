"""The database: engine, models, migrations, queries. It knows nothing of the studio above it."""
