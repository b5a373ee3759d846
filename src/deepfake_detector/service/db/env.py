"""Alembic runs this file; the connection is given by ``engine.Database.migrate``."""

from alembic import context

from deepfake_detector.service.db.tables import Base

context.configure(
    connection=context.config.attributes["connection"], target_metadata=Base.metadata, render_as_batch=True
)
context.run_migrations()
