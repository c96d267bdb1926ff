"""The command `eseg`, one file per subcommand."""
