"""The command `eseg`, one file a subcommand."""
