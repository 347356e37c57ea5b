//! SQLite: schema, migrations, and the one door to the database.
